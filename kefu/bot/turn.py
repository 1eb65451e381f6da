"""One turn with a provider, from the question to an answer, whatever happens on the way.

Until the first piece has been told the provider may be asked again; behind it never: what was told
stays, and the answer ends there. A provider in trouble is an answer too, so nothing is raised.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

import anyio
from anyio import CancelScope
from msgspec import Struct

from kefu.bot import knowledge, texts
from kefu.bot.breaker import Breaker, Permit
from kefu.bot.figures import Figures
from kefu.bot.knowledge import KnowledgeBot
from kefu.bot.messages import Answer, Question, Said
from kefu.bot.options import Limits
from kefu.bot.ports import (
    Ask,
    BadCredentials,
    Context,
    Conversations,
    Exhausted,
    LostConversation,
    Overlong,
    Provider,
    ProviderError,
    Refused,
    Rejected,
)
from kefu.bot.retries import pause_s
from kefu.bot.told import Told
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.knowledge.messages import Found, Knowledge
from kefu.storage.errors import StoreUnavailable

NOTHING: Final = Found("none")
log = logging.getLogger("kefu.bot")


class World(Struct, frozen=True, kw_only=True):
    """Everything around a turn. `grounding` is the knowledge a language model is told of; None for
    a provider that has its own."""

    provider: Provider
    contexts: Conversations
    breaker: Breaker
    fallback: KnowledgeBot
    grounding: Knowledge | None
    clock: Clock
    entropy: Entropy
    figures: Figures
    limits: Limits
    sleep: Callable[[float], Awaitable[None]]


class ProviderBot:
    """Implements `messages.Bot`."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, question: Question, say: Callable[[str], None]) -> Answer:
        """See `messages.Bot.answer`."""
        answer, turn = None, _Turn(self._world, question, say)
        try:
            with anyio.move_on_after(self._world.limits.turn_s) as scope:
                answer = await turn.run(scope)
        except Exception:
            log.exception("bot_turn_failed", extra={"turn_id": question.turn_id})
        if answer is None:
            answer = turn.broken_off()
        self._world.figures.note(answer)
        return answer


class _Turn:
    def __init__(self, world: World, question: Question, say: Callable[[str], None]) -> None:
        self._world = world
        self._question = question
        self._say = say
        self._told = Told(say, world.limits.answer_chars)
        self._found = NOTHING
        self._context: Context | None = None
        self._lost: Context | None = None

    async def run(self, scope: CancelScope) -> Answer:
        world, tries = self._world, 0
        failure: ProviderError | None = None
        if world.grounding is not None and world.breaker.phase(self._now()) != "open":
            asked = (world.grounding, self._question.text, self._question.locale)
            self._found = await knowledge.find(*asked) or NOTHING
        while (permit := world.breaker.admit(self._now())) is not None:
            tries += 1
            failure = await self._try(permit, scope)
            if failure is None or self._told.text:
                return self._spoken(is_cut=failure is not None or self._told.is_full)
            if isinstance(failure, LostConversation) and self._lost is None:
                self._lost, tries = self._context, tries - 1
                continue
            chance, remaining_s = world.entropy.random.random(), self._remaining_s(scope)
            pause = pause_s(failure, tries, chance, remaining_s)
            if pause is None or tries >= world.limits.attempts:
                break
            world.figures.note_retry()
            await world.sleep(pause)
        return await self._without(failure)

    def broken_off(self) -> Answer:
        """When the turn's time is over, or a bug has ended it."""
        if self._told.text:
            return self._spoken(is_cut=True)
        return Answer(texts.said(texts.FAILED, self._question.locale), "failed")

    async def _try(self, permit: Permit, scope: CancelScope) -> ProviderError | None:
        """Ask once, and let the breaker know how it went."""
        breaker, is_reported = self._world.breaker, False
        try:
            await self._ask()
            breaker.succeed(permit)
            is_reported = True
            return None
        except StoreUnavailable:
            log.warning("bot_store_unavailable", extra={"turn_id": self._question.turn_id})
            return Rejected("store")
        except ProviderError as failure:
            self._note(failure)
            if failure.is_failure:
                breaker.fail(permit, self._now(), at_once=failure.opens_breaker)
            else:
                breaker.succeed(permit)
            is_reported = True
            return failure
        except Exception:
            breaker.fail(permit, self._now())
            is_reported = True
            raise
        finally:
            if not is_reported and scope.cancel_called:
                breaker.fail(permit, self._now())  # it has used up the whole turn
            elif not is_reported:
                breaker.forget(permit)

    async def _ask(self) -> None:
        """Tell the customer what the provider says. Raises ProviderError and StoreUnavailable."""
        question = self._question
        context, earlier = await self._looked_up()
        ask = Ask(
            session=question.session,
            conversation_id=context.conversation_id,
            text=question.text,
            earlier=tuple(said for said in earlier if said.at >= context.since),
            hits=self._found.hits if self._found.confidence != "none" else (),
            locale=question.locale,
            is_new=self._lost is not None,
        )
        async with aclosing(self._world.provider.stream(ask)) as pieces:
            async for piece in pieces:
                self._told.add(piece)
                if self._told.is_full:
                    return
        if not self._told.text:
            raise Rejected("empty")

    async def _looked_up(self) -> tuple[Context, tuple[Said, ...]]:
        """The session's conversation and what was said before, one beside the other."""
        read = self._question.read_earlier
        if read is None:
            return await self._current(is_first=True), ()
        reading = asyncio.ensure_future(read())
        try:
            return await self._current(is_first=False), await reading
        finally:
            reading.cancel()

    async def _current(self, *, is_first: bool) -> Context:
        session, contexts = self._question.session, self._world.contexts
        if self._lost is not None and self._context is self._lost:
            await contexts.renew(session, self._lost)
        self._context = await contexts.current(session, is_first=is_first)
        return self._context

    def _spoken(self, *, is_cut: bool) -> Answer:
        is_known = self._found.confidence != "none"
        sources = tuple(hit.source for hit in self._found.hits) if is_known else ()
        return Answer(self._told.text, "answered", sources, is_cut)

    async def _without(self, failure: ProviderError | None) -> Answer:
        """An answer where the provider has none."""
        locale = self._question.locale
        if isinstance(failure, Refused | Overlong):
            text = texts.said(
                texts.REFUSED if isinstance(failure, Refused) else texts.OVERLONG, locale
            )
            self._say(text)
            return Answer(text, "unknown")
        if self._world.breaker.phase(self._now()) != "closed":
            answer = await self._world.fallback.stand_in(self._question, self._say)
            if answer is not None:
                return answer
        return Answer(texts.said(texts.FAILED, locale), "failed")

    def _note(self, failure: ProviderError) -> None:
        """One line for each failure; the account's own troubles are for somebody to act on."""
        needs_action = isinstance(failure, Exhausted | BadCredentials)
        event = "bot_provider_needs_attention" if needs_action else "bot_provider_failed"
        log.log(
            logging.ERROR if needs_action else logging.WARNING,
            event,
            extra={
                "turn_id": self._question.turn_id,
                "failure": type(failure).__name__,
                "provider_code": failure.code,
                "trace_id": failure.trace,
            },
        )

    def _remaining_s(self, scope: CancelScope) -> float:
        remaining_s: float = scope.deadline - anyio.current_time()
        return remaining_s

    def _now(self) -> float:
        return self._world.clock.monotonic()
