"""What is suggested to agents while they are in charge: replies, and a summary at takeover.

The shop's knowledge and rules suffice for both; a language model adds to the first and words the
second better. When it fails the agent simply gets what the rules make.
"""

import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final, Literal

import anyio
from msgspec import Struct

from kefu.bot import knowledge, prompt, summary
from kefu.bot.breaker import Breaker, Permit
from kefu.bot.messages import Said
from kefu.bot.options import Limits
from kefu.bot.ports import Ask, Line, ProviderError, Writer
from kefu.bot.summary import Occasion, Remark
from kefu.bot.told import Told
from kefu.clock import Clock
from kefu.knowledge.messages import Found, Knowledge, Source
from kefu.languages import language

WITHIN_S: Final = 15.0
DRAFT_CHARS: Final = 2_000
NOBODY: Final = Occasion()
log = logging.getLogger("kefu.bot")


class Suggestion(Struct, frozen=True):
    """A reply an agent may send. `entry` is the knowledge it comes from, word for word."""

    text: str
    source: Literal["knowledge", "generated"]
    entry: Source | None = None


class Copilot:
    """Without a `writer` there are only the shop's own words."""

    def __init__(
        self,
        knowledge: Knowledge,
        writer: Writer | None,
        breaker: Breaker,
        clock: Clock,
        limits: Limits,
        *,
        within_s: float = WITHIN_S,
    ) -> None:
        self._knowledge = knowledge
        self._writer = writer
        self._breaker = breaker
        self._clock = clock
        self._limits = limits
        self._within_s = within_s

    async def suggest(
        self, question_text: str, earlier: Sequence[Said], locale: str | None
    ) -> list[Suggestion]:
        """The best first; what the shop wrote comes before what a model makes up."""
        found = await knowledge.find(self._knowledge, question_text, locale) or Found("none")
        hits = found.hits if found.confidence != "none" else ()
        ask = Ask("", "", question_text, tuple(earlier), hits, locale)
        draft = await self._draft(
            prompt.suggestion_lines(
                ask,
                max_turns=self._limits.context_turns,
                max_tokens=self._limits.context_tokens,
            )
        )
        suggestions = [Suggestion(hit.answer, "knowledge", hit.source) for hit in hits]
        return suggestions + ([Suggestion(draft, "generated")] if draft else [])

    async def summarize(
        self, messages: Sequence[Remark], locale: str | None, occasion: Occasion = NOBODY
    ) -> str:
        """In the agent's language; never empty."""
        lines = summary.transcript(messages, occasion)
        draft = await self._draft(
            prompt.summary_lines(lines, language(locale), max_tokens=self._limits.context_tokens)
        )
        return draft or summary.summarize(messages, occasion, locale)

    async def _draft(self, lines: Sequence[Line]) -> str:
        """What the model writes; empty when there is none or it fails."""
        permit = self._breaker.admit(self._clock.monotonic()) if self._writer else None
        if self._writer is None or permit is None:
            return ""
        try:
            with anyio.fail_after(self._within_s):
                return await self._written(self._writer, lines, permit)
        except TimeoutError:
            self._breaker.fail(permit, self._clock.monotonic())
        except Exception:
            log.exception("copilot_failed")
        finally:
            self._breaker.forget(permit)  # unless it was reported on
        return ""

    async def _written(self, writer: Writer, lines: Sequence[Line], permit: Permit) -> str:
        told = Told(lambda _: None, DRAFT_CHARS)
        try:
            async with aclosing(writer.write(lines)) as pieces:
                async for piece in pieces:
                    told.add(piece)
                    if told.is_full:
                        break
        except ProviderError as failure:
            log.warning("copilot_failed", extra={"provider_code": failure.code})
            if failure.is_failure:
                now = self._clock.monotonic()
                self._breaker.fail(permit, now, at_once=failure.opens_breaker)
            return ""
        self._breaker.succeed(permit)
        return told.text.strip()
