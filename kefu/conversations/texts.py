"""What kefu itself says inside a chat, in the customer's language."""

from datetime import datetime
from typing import Final

from kefu.languages import Language, language

Texts = dict[Language, str]

_RELEASED: Final[Texts] = {
    "zh-CN": "人工服务已结束，智能助手将继续为您服务。",
    "zh-TW": "人工服務已結束，智慧助理將繼續為您服務。",
    "en": "The agent has left; the assistant is here for you again.",
}
_CALLED: Final[Texts] = {
    "zh-CN": "正在为您转接人工客服，请稍候。您也可以直接留下邮箱，我们会尽快回复。",
    "zh-TW": "正在為您轉接真人客服，請稍候。您也可以直接留下電子郵件，我們會盡快回覆。",
    "en": "Connecting you to a person; one moment, please. You may also leave your e-mail address.",
}
_AFTER_HOURS: Final[Texts] = {
    "zh-CN": "现在是非人工服务时间。智能助手会继续为您服务；"
    "请留下您的邮箱，我们上班后会尽快回复您。",
    "zh-TW": "現在是非真人服務時間。智慧助理會繼續為您服務；"
    "請留下您的電子郵件，我們上班後會盡快回覆您。",
    "en": "Nobody of our team is here right now. The assistant stays with you; leave your e-mail "
    "address and we will write to you.",
}
_BACK_AT: Final[Texts] = {
    "zh-CN": "人工客服将于 {at} 上线。",
    "zh-TW": "真人客服將於 {at} 上線。",
    "en": "We are back on {at}.",
}
_EMAIL_NOTED: Final[Texts] = {
    "zh-CN": "已记下您的邮箱 {email}，我们会尽快回复您。",
    "zh-TW": "已記下您的電子郵件 {email}，我們會盡快回覆您。",
    "en": "We have noted {email} and will write to you.",
}
_NOBODY_CAME: Final[Texts] = {
    "zh-CN": "抱歉让您久等了，目前人工客服都在忙。智能助手先继续为您服务，您随时可以再次转人工。",
    "zh-TW": "抱歉讓您久等了，目前真人客服都在忙碌。智慧助理先繼續為您服務，您隨時可以再次轉人工。",
    "en": "We are sorry to have kept you waiting; everybody is busy. The assistant is here for you "
    "again, and you may ask for a person at any time.",
}
_AGENT_GONE: Final[Texts] = {
    "zh-CN": "客服的连接中断了，我们正在优先为您安排另一位客服。",
    "zh-TW": "客服的連線中斷了，我們正在優先為您安排另一位客服。",
    "en": "The agent has lost the connection; you are next in line for another one.",
}
_BOT_BROKE: Final[Texts] = {
    "zh-CN": "抱歉，智能助手暂时无法回答，请稍后再试，或回复“转人工”。",
    "zh-TW": "抱歉，智慧助理暫時無法回答，請稍後再試，或回覆「轉人工」。",
    "en": "Sorry, the assistant cannot answer right now. Please try again, or type “agent”.",
}


def released(locale: str | None) -> str:
    """Read by the customer when an agent gives the chat back to the bot."""
    return _RELEASED[language(locale)]


def called(locale: str | None) -> str:
    """When a human was called for the customer."""
    return _CALLED[language(locale)]


def after_hours(locale: str | None, next_start: datetime | None) -> str:
    """When a human was called while none is on duty; the time is told as it was given."""
    here = language(locale)
    if next_start is None:
        return _AFTER_HOURS[here]
    gap = " " if here == "en" else ""
    at = next_start.strftime("%Y-%m-%d %H:%M")
    return f"{_AFTER_HOURS[here]}{gap}{_BACK_AT[here].format(at=at)}"


def email_noted(locale: str | None, email: str) -> str:
    return _EMAIL_NOTED[language(locale)].format(email=email)


def nobody_came(locale: str | None) -> str:
    """When the wait was given up and the bot takes over again."""
    return _NOBODY_CAME[language(locale)]


def agent_gone(locale: str | None) -> str:
    """When the agent in charge has dropped off and did not come back."""
    return _AGENT_GONE[language(locale)]


def bot_broke(locale: str | None) -> str:
    """When the bot failed in a way nobody foresaw."""
    return _BOT_BROKE[language(locale)]
