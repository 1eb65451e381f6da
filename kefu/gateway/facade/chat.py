"""Talking to the bot over plain HTTP: a message and its answer, whole or as it is being written.

While a human is called for or in charge the bot is out of it: 409. What goes wrong before an answer
begins is an answer with its own status; what goes wrong in one is the stream's last event.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kefu.bodies import flat_answer, read_body
from kefu.conversations import texts
from kefu.errors import Problem
from kefu.gateway.facade.asking import present_chat
from kefu.gateway.facade.callers import Caller, Callers, cookie_header
from kefu.gateway.facade.ports import Facade
from kefu.gateway.facade.reading import read_large_body
from kefu.gateway.facade.sse import EventQueue, event
from kefu.gateway.facade.turns import Outcome, Turn
from kefu.gateway.problems import body_of
from kefu.gateway.serving import DISCONNECTED
from kefu.gateway.streams import HEADERS
from protocol.codes import ErrorCode
from protocol.facade import (
    Ask,
    Conversation,
    Done,
    Failed,
    ForSession,
    ForUser,
    ProductShown,
    Reply,
    StatusChange,
)

BEGIN_AT_ONCE: Final = 10
IN_ORDER_S: Final = 1.0
_read_ask: Final = msgspec.json.Decoder(Ask).decode
_read_session: Final = msgspec.json.Decoder(ForSession).decode
_read_user: Final = msgspec.json.Decoder(ForUser).decode
log = logging.getLogger("kefu.gateway")


class Chat:
    """The endpoints."""

    def __init__(self, facade: Facade, callers: Callers) -> None:
        self._facade = facade
        self._backstage = facade.backstage
        self._callers = callers
        self._beginning = asyncio.Semaphore(BEGIN_AT_ONCE)

    # --- a message and its answer -----------------------------------------------------------------

    async def ask(self, request: Request) -> Response:
        """Raises Problem or StoreUnavailable."""
        asked = await read_large_body(request, _read_ask)
        caller = await self._callers.customer(request, asked.user_id)
        with self._turn(caller, asked) as turn:
            await turn.send(asked)
            try:
                outcome = await turn.outcome()
            except Problem as problem:
                return _failed(problem, caller, request)
        if outcome.phase == "closed" and not outcome.answer:
            raise Problem(ErrorCode.CHAT_ENDED)
        if outcome.phase == "manual_live" and not outcome.text:
            raise Problem(ErrorCode.MANUAL_IN_PROGRESS)
        if outcome.is_failed and outcome.phase == "bot_active":
            return _failed(Problem(ErrorCode.AI_UNAVAILABLE, outcome.text), caller, request)
        return _with_cookie(flat_answer(_reply(outcome, caller)), caller, request)

    async def stream(self, request: Request) -> ASGIApp:
        """The app that answers the request. Raises Problem or StoreUnavailable."""
        return _Answer(self, request, await read_large_body(request, _read_ask))

    @asynccontextmanager
    async def asked(self, request: Request, asked: Ask) -> AsyncIterator[tuple[Turn, Caller]]:
        """A message that is durable, and what comes of it, as one of its customer's streams.

        Raises Problem or StoreUnavailable.
        """
        async with AsyncExitStack() as stack:
            async with self._place():
                streaming = self._callers.streaming(request, asked.user_id)
                caller = await stack.enter_async_context(streaming)
                turn = stack.enter_context(self._turn(caller, asked))
                await turn.send(asked)
            yield turn, caller

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Of many who ask at the same moment the first need not wait until all have begun. An order
        and no limit: behind some that hang nobody waits for longer than that."""
        has_place = False
        with suppress(TimeoutError):
            async with asyncio.timeout(IN_ORDER_S):
                has_place = await self._beginning.acquire()
        try:
            yield
        finally:
            if has_place:
                self._beginning.release()

    def now(self) -> float:
        return self._backstage.clock.now().timestamp()

    def _turn(self, caller: Caller, asked: Ask) -> Turn:
        """A message without a key of its own gets one, so that it may be sent again on its way."""
        given = asked.client_message_id
        key = given or str(self._facade.entropy.uuid())
        return Turn(caller, self._backstage, key, is_new=given is None)

    # --- conversations with the provider ----------------------------------------------------------

    async def begin(self, request: Request) -> Response:
        """Raises Problem or StoreUnavailable."""
        asked = await read_body(request, _read_session)
        return await self._begin(request, asked.session_id)

    async def create(self, request: Request) -> Response:
        asked = await read_body(request, _read_user)
        return await self._begin(request, asked.user_id)

    async def _begin(self, request: Request, name: str) -> Response:
        caller = await self._callers.customer(request, name)
        return flat_answer(Conversation(await self._facade.contexts.new(caller.identity.sub)))

    async def clear(self, request: Request) -> Response:
        """Not while a human is called for or in charge: they are in the middle of it."""
        asked = await read_body(request, _read_session)
        caller = await self._callers.customer(request, asked.session_id)
        chat = await present_chat(self._backstage, caller)
        if chat is not None and chat.status in ("waiting", "active"):
            raise Problem(ErrorCode.MANUAL_IN_PROGRESS)
        return flat_answer(Conversation(await self._facade.contexts.clear(caller.identity.sub)))


class _Answer:
    """One answer as it is being written."""

    def __init__(self, chat: Chat, request: Request, asked: Ask) -> None:
        self._chat = chat
        self._request = request
        self._asked = asked
        self._turn: Turn
        self._queue = EventQueue()
        self._is_cut = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem while nothing has been sent."""
        async with self._chat.asked(self._request, self._asked) as (self._turn, caller):
            headers = HEADERS | cookie_header(caller, self._request)
            await self._serve(headers, receive, send)

    async def _serve(self, headers: dict[str, str], receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(None) as stay:
                with _beside(_until_left(receive, stay), self._queue.beat(), self._listen()):
                    await self._write(headers, send)
        except (TimeoutError, *DISCONNECTED):
            pass  # they have gone, or take nothing: the answer is in the chat all the same

    async def _write(self, headers: dict[str, str], send: Send) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        # a piece wakes this task alone, and not every layer of the app above it
        await asyncio.get_running_loop().create_task(self._queue.pour(send))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _listen(self) -> None:
        """Whatever goes wrong, the client is told how it ends."""
        try:
            self._finish(await self._turn.outcome(self._queue.put_piece, self._cut))
        except Problem as problem:
            self._fail(problem)
        except Exception:
            log.exception("answer_failed")
            self._fail(Problem(ErrorCode.INTERNAL))
        self._queue.close()

    def _cut(self) -> None:
        """What has not gone yet does not go any more."""
        self._queue.clear()
        self._is_cut = True

    def _finish(self, outcome: Outcome) -> None:
        is_humans = outcome.phase in ("pending_manual", "manual_live")
        if is_humans and self._turn.told and not outcome.answer:
            self._queue.clear()
        elif outcome.phase == "closed" and not outcome.answer:
            return self._fail(Problem(ErrorCode.CHAT_ENDED))
        elif outcome.is_failed and not is_humans:
            return self._fail(Problem(ErrorCode.AI_UNAVAILABLE, outcome.text))
        else:
            for text in _untold(outcome, self._turn, is_whole=not self._is_cut):
                self._queue.put_piece(text)
            for product in outcome.products:
                self._queue.put(event(ProductShown(str(product)), is_message=True))
        if is_humans:
            now = self._chat.now()
            self._queue.put(event(StatusChange(outcome.phase, now), is_message=True))
        self._queue.put(event(Done(), is_message=True))
        return None

    def _fail(self, problem: Problem) -> None:
        self._queue.put(event(Failed(problem.message, problem.code), is_message=True))


def _untold(outcome: Outcome, turn: Turn, *, is_whole: bool) -> Iterator[str]:
    """What was not passed on piece by piece: the rest of the answer, and what kefu said."""
    told, answer = turn.told, outcome.answer
    if is_whole and answer.startswith(told):
        yield answer.removeprefix(told)
    elif answer:  # some pieces did not get there
        yield f"\n\n{answer}"
    if outcome.phase == "pending_manual" and not outcome.text:
        yield texts.called(turn.locale)
    is_first = not told and not answer
    for notice in outcome.notices:
        yield notice if is_first else f"\n\n{notice}"
        is_first = False


@contextmanager
def _beside(*work: Coroutine[Any, Any, None]) -> Iterator[None]:
    """All of it runs as long as the block does. None of it may fail."""
    running = [asyncio.get_running_loop().create_task(each) for each in work]
    try:
        yield
    finally:
        for each in running:
            each.cancel()


async def _until_left(receive: Receive, stay: asyncio.Timeout) -> None:
    """Nothing more comes in; it only shows when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stay.reschedule(asyncio.get_running_loop().time())


def _reply(outcome: Outcome, caller: Caller) -> Reply:
    """`status` where the chat is no longer the bot's."""
    if outcome.phase in ("bot_active", "closed"):
        return Reply(True, outcome.text, products=outcome.products)
    text = outcome.text or texts.called(caller.identity.locale)
    return Reply(True, text, outcome.phase, outcome.products)


def _failed(problem: Problem, caller: Caller, request: Request) -> Response:
    """A bot that fails is no failed call: those clients look into the body."""
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return _with_cookie(Response(body_of(problem), headers=headers), caller, request)


def _with_cookie(response: Response, caller: Caller, request: Request) -> Response:
    response.headers.update(cookie_header(caller, request))
    return response
