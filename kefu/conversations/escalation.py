"""When a human should come in, though nobody pressed the button. Pure.

VIP before keyword before repeated failure; each finding says why, how grave it is, and on what
words it rests. The rules only recommend: whether a human is on duty is not asked here.
"""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from kefu.bot.messages import Answer
from kefu.conversations.chat import Chat
from kefu.conversations.parties import Severity

Reason = Literal["vip", "keyword", "fail_loop", "manual"]
DETAIL_LIMIT: Final = 10


class Escalation(Struct, frozen=True):
    """Why a human is called; `details` are for people to read."""

    reason: Reason
    severity: Severity
    details: tuple[str, ...] = ()


class Rules(Struct, frozen=True):
    """The shop's choice. Words are compared without regard to case."""

    keywords: tuple[str, ...] = ()
    failure_words: tuple[str, ...] = ()
    failure_threshold: int = 3
    calls_for_vips: bool = True

    def before_answer(self, chat: Chat, text: str) -> Escalation | None:
        """Of what the customer has just said, before the bot is asked.

        A VIP is brought to a human once: when they come back to the bot, that was their wish.
        """
        is_first = chat.reason is None and chat.after_hours_at is None
        if self.calls_for_vips and chat.customer.is_vip and is_first:
            return Escalation("vip", "high", ("VIP",))
        found = _found(self.keywords, text)
        return Escalation("keyword", "high", found) if found else None

    def is_failure(self, answer: Answer) -> bool:
        """Whether the bot failed, by its outcome or by its own words."""
        return answer.outcome != "answered" or bool(_found(self.failure_words, answer.text))

    def after_answer(self, chat: Chat) -> Escalation | None:
        """Of the chat as the bot's answer leaves it."""
        if chat.bot_failures < self.failure_threshold:
            return None
        return Escalation("fail_loop", "low", (f"{chat.bot_failures} failures in a row",))


def _found(words: Iterable[str], text: str) -> tuple[str, ...]:
    """The words that stand in the text; letters of the alphabet only as whole words."""
    lowered = text.lower()
    found = (word for word in words if word and _stands_in(word.lower(), lowered))
    return tuple(found)[:DETAIL_LIMIT]


def _stands_in(word: str, text: str) -> bool:
    """A word like "human" is not found in "humanity", but 客服 is in 找客服."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not (_is_latin(word[0]) and start > 0 and _is_latin(text[start - 1])) and not (
            _is_latin(word[-1]) and end < len(text) and _is_latin(text[end])
        ):
            return True
        start = text.find(word, start + 1)
    return False


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalpha()
