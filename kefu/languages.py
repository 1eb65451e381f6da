"""The three languages kefu speaks, and which of them fits a person."""

from typing import Final, Literal

Language = Literal["zh-CN", "zh-TW", "en"]
SHOPS: Final[Language] = "zh-CN"
_TRADITIONAL: Final = ("tw", "hk", "mo", "hant")


def language(locale: str | None) -> Language:
    """The one that fits a BCP 47 tag; Chinese shops are the default."""
    if locale is None:
        return SHOPS
    tag = locale.lower().replace("_", "-")
    if tag.startswith("zh"):
        return "zh-TW" if any(part in tag for part in _TRADITIONAL) else "zh-CN"
    return "en"
