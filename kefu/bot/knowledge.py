"""The bot that needs no key and no network: it says what the shop wrote, or that it does not know.

Not knowing is an answer like any other, but for the knowledge failing there is only a sentence.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from typing import Final

from anyio.lowlevel import checkpoint

from kefu.bot import courtesies, texts
from kefu.bot.figures import Figures
from kefu.bot.messages import Answer, Outcome, Question
from kefu.knowledge.messages import Found, Hit, Knowledge

FIND_WITHIN_S: Final = 5.0
OTHERS: Final = 3
_PIECE: Final = re.compile(r"\s*(?:[!-~]{1,24}|[^\s!-~]{1,6})\s*|\s+")
log = logging.getLogger("kefu.bot")


class KnowledgeBot:
    """Implements `messages.Bot`."""

    def __init__(self, knowledge: Knowledge, figures: Figures) -> None:
        self._knowledge = knowledge
        self._figures = figures

    async def answer(self, question: Question, say: Callable[[str], None]) -> Answer:
        """See `messages.Bot.answer`."""
        answer = Answer(texts.said(texts.FAILED, question.locale), "failed")
        try:
            found = await find(self._knowledge, question.text, question.locale)
            if found is not None:
                answer = await self._answer(found, question, say)
        except Exception:
            log.exception("bot_turn_failed", extra={"turn_id": question.turn_id})
        self._figures.note(answer)
        return answer

    async def stand_in(self, question: Question, say: Callable[[str], None]) -> Answer | None:
        """The shop's answer in place of a provider's; None when it has none."""
        found = await find(self._knowledge, question.text, question.locale)
        if found is None:
            return None
        if is_useful(found):
            return await _told(found, question, say, "stood_in")
        courtesy = courtesies.answer_to(question.text)
        if courtesy is not None:
            return await _say_all(texts.said(courtesy, question.locale), say, "stood_in")
        self._knowledge.note_unanswered(question.text, question.locale)
        return None

    async def _answer(self, found: Found, question: Question, say: Callable[[str], None]) -> Answer:
        if is_useful(found):
            return await _told(found, question, say, "answered")
        courtesy = courtesies.answer_to(question.text)
        if courtesy is not None:
            return await _say_all(texts.said(courtesy, question.locale), say, "answered")
        self._knowledge.note_unanswered(question.text, question.locale)
        return await _say_all(texts.said(texts.UNKNOWN, question.locale), say, "unknown")


async def find(knowledge: Knowledge, text: str, locale: str | None) -> Found | None:
    """What the shop knows about it; None when the knowledge cannot be asked now."""
    try:
        async with asyncio.timeout(FIND_WITHIN_S):
            return await knowledge.find(text, locale, limit=OTHERS + 1)
    except Exception:  # it promises not to raise, and must not cost the customer an answer
        log.exception("bot_knowledge_failed")
        return None


def is_useful(found: Found) -> bool:
    return found.confidence != "none" and bool(found.hits and found.hits[0].answer.strip())


def wording(found: Found, locale: str | None) -> str:
    """The best entry's answer; where it is not sure, with the question whether that was meant."""
    first, *others = found.hits
    if found.confidence == "sure":
        return first.answer
    lines = [first.answer, "", f"{texts.said(texts.IS_THIS_IT, locale)} {first.question}"]
    if others:
        lines.append(texts.said(texts.OR_RATHER, locale))
        lines += [f"- {hit.question}" for hit in others[:OTHERS]]
    return "\n".join(lines)


def pieces(text: str) -> Iterator[str]:
    """The text in small pieces, at the ends of words where it has any; none is lost."""
    return (match[0] for match in _PIECE.finditer(text))


async def _told(
    found: Found, question: Question, say: Callable[[str], None], outcome: Outcome
) -> Answer:
    named: tuple[Hit, ...] = found.hits[: 1 if found.confidence == "sure" else OTHERS + 1]
    text = wording(found, question.locale)
    answer = await _say_all(text, say, outcome)
    return Answer(answer.text, outcome, tuple(hit.source for hit in named))


async def _say_all(text: str, say: Callable[[str], None], outcome: Outcome) -> Answer:
    for piece in pieces(text):
        say(piece)
        await checkpoint()
    return Answer(text, outcome)
