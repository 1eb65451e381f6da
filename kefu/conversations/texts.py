"""What kefu itself says inside a chat, in the customer's language."""

from typing import Final

_RELEASED: Final = {
    "zh-CN": "人工服务已结束，智能助手将继续为您服务。",
    "zh-TW": "人工服務已結束，智慧助理將繼續為您服務。",
    "en": "The agent has left; the assistant is here for you again.",
}


def released(locale: str | None) -> str:
    """Read by the customer when an agent gives the chat back to the bot."""
    return _RELEASED[language(locale)]


def language(locale: str | None) -> str:
    """The one of kefu's three languages that fits a BCP 47 tag; Chinese shops are the default."""
    if locale is None:
        return "zh-CN"
    tag = locale.lower().replace("_", "-")
    if tag.startswith("zh"):
        return "zh-TW" if any(part in tag for part in ("tw", "hk", "mo", "hant")) else "zh-CN"
    return "en"
