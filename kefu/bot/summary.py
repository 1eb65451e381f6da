"""A summary of a chat made by rules, for the agent who takes it over: what was said, shortened.

It needs no model and no network, so it is there when those are not.
"""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from kefu.bot.texts import WITHOUT_ANSWER, Texts, said

QUESTIONS: Final = 3
QUESTION_CHARS: Final = 120
ANSWER_CHARS: Final = 160


class Remark(Struct, frozen=True):
    """One message of the chat, the oldest first."""

    by: Literal["customer", "bot", "agent", "system"]
    content: str


class Occasion(Struct, frozen=True):
    """Who is handed over and why. `reason` as in the escalation rules; `details` in words."""

    customer: str | None = None
    is_vip: bool = False
    topic: str | None = None
    reason: str | None = None
    details: str | None = None


_CUSTOMER: Final[Texts] = {"zh-CN": "客户：", "zh-TW": "客戶：", "en": "Customer: "}
_TOPIC: Final[Texts] = {"zh-CN": "主题：", "zh-TW": "主題：", "en": "Topic: "}
_ASKED: Final[Texts] = {"zh-CN": "最近的问题：", "zh-TW": "最近的問題：", "en": "Asked last: "}
_ANSWERED: Final[Texts] = {
    "zh-CN": "机器人已回答：",
    "zh-TW": "機器人已回答：",
    "en": "The assistant answered: ",
}
_AGENT: Final[Texts] = {"zh-CN": "客服曾回复：", "zh-TW": "客服曾回覆：", "en": "An agent wrote: "}
_REASON: Final[Texts] = {"zh-CN": "转人工原因：", "zh-TW": "轉人工原因：", "en": "Handed over: "}
_NOTHING: Final[Texts] = {
    "zh-CN": "客户还没有说过什么。",
    "zh-TW": "客戶還沒有說過什麼。",
    "en": "The customer has not said anything yet.",
}
_REASONS: Final[dict[str, Texts]] = {
    "keyword": {
        "zh-CN": "客户要求人工",
        "zh-TW": "客戶要求真人",
        "en": "the customer asked for a person",
    },
    "fail_loop": {
        "zh-CN": "机器人多次未能回答",
        "zh-TW": "機器人多次未能回答",
        "en": "the assistant failed several times",
    },
    "vip": {"zh-CN": "VIP 客户", "zh-TW": "VIP 客戶", "en": "a VIP customer"},
    "manual": {
        "zh-CN": "客户点击了转人工",
        "zh-TW": "客戶點選了轉人工",
        "en": "the customer pressed the button",
    },
    "sentiment": {
        "zh-CN": "客户情绪不满",
        "zh-TW": "客戶情緒不滿",
        "en": "the customer is upset",
    },
}


def summarize(remarks: Sequence[Remark], occasion: Occasion, locale: str | None) -> str:
    """A few lines: who, about what, the last questions and answers, and why it is handed on."""
    asked = [_short(r.content, QUESTION_CHARS) for r in remarks if r.by == "customer"]
    lines = [
        _line(_CUSTOMER, _who(occasion), locale),
        _line(_TOPIC, _short(occasion.topic or "", QUESTION_CHARS), locale),
        _line(_ASKED, " / ".join(asked[-QUESTIONS:]), locale) or said(_NOTHING, locale),
        _line(_ANSWERED, _last(remarks, "bot"), locale),
        _line(_AGENT, _last(remarks, "agent"), locale),
        _line(_REASON, _why(occasion, locale), locale),
    ]
    return "\n".join(line for line in lines if line)


def transcript(remarks: Sequence[Remark], occasion: Occasion) -> list[str]:
    """The chat as lines a model is shown, behind what is known of the occasion."""
    about = [
        f"{name}: {value}"
        for name, value in (
            ("customer", _who(occasion)),
            ("topic", occasion.topic),
            ("handed over because", occasion.reason),
            ("details", occasion.details),
        )
        if value
    ]
    return ["; ".join(about), *(f"{remark.by}: {remark.content}" for remark in remarks)]


def _line(heading: Texts, text: str, locale: str | None) -> str:
    return f"{said(heading, locale)}{text}" if text else ""


def _who(occasion: Occasion) -> str:
    vip = "VIP" if occasion.is_vip else ""
    return " ".join(part for part in (occasion.customer, vip) if part)


def _why(occasion: Occasion, locale: str | None) -> str:
    known = _REASONS.get(occasion.reason or "")
    reason = said(known, locale) if known else occasion.reason or ""
    details = _short(occasion.details or "", QUESTION_CHARS)
    return f"{reason} ({details})" if reason and details else reason or details


def _last(remarks: Sequence[Remark], by: str) -> str:
    for remark in reversed(remarks):
        if remark.by == by and remark.content not in WITHOUT_ANSWER:
            return _short(remark.content, ANSWER_CHARS)
    return ""


def _short(text: str, limit: int) -> str:
    """On one line, and no longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
