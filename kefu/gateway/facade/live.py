"""A session's events as they come, for as long as a client listens: a browser's EventSource.

It is a connection like any other, with the same promises and the same cursor; only what it says is
put in the words of the facade, and how much may wait for a slow client is bounded more tightly.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from kefu.errors import Problem
from kefu.gateway import replay
from kefu.gateway.connection import Connection
from kefu.gateway.cursor import Cursor
from kefu.gateway.facade.ports import Facade
from kefu.gateway.facade.sse import Event, EventQueue, Item, event
from kefu.gateway.outbox import Outgoing, Stalled
from kefu.gateway.ports import Backstage
from kefu.gateway.role import Role
from kefu.gateway.serving import DISCONNECTED, serve
from kefu.gateway.stream_limits import Allowance
from kefu.gateway.streams import RETRY_MS
from protocol.codes import CLOSE_REASONS, CloseCode, ErrorCode
from protocol.facade import StreamPing
from protocol.server import ChatStatus, ToWorkbench

Translate = Callable[[ToWorkbench], Iterable[Event]]
log = logging.getLogger("kefu.gateway")


async def nothing(_connection: Connection, _cursor: Cursor) -> None:
    """What a customer is greeted with beside their chat."""


class Voice(Struct, frozen=True):
    """How a stream speaks: `translate` makes events of frames, `encode` the last of it where that
    has to wait, `topics` is what it hears, `greet` what comes behind the role's own greeting."""

    role: Role
    topics: tuple[str, ...]
    translate: Translate
    encode: Callable[[Event], Awaitable[bytes]] | None = None
    greet: Callable[[Connection, Cursor], Awaitable[None]] = nothing
    is_agents: bool = False


class EventConnection(Connection):
    """A connection whose frames wait as events, in a queue of the stream's own."""

    def __init__(self, backstage: Backstage, voice: Voice, cursor: Cursor) -> None:
        super().__init__(
            backstage.connection_id(),
            voice.role,
            backstage,
            _never,
            is_agents=voice.is_agents,
            topics=voice.topics,
        )
        self.events = EventQueue()
        self._voice = voice
        self._cursor = cursor
        self._last_id = cursor.text()

    def put(self, outgoing: Outgoing) -> None:
        """Queue what the frame says; a client that would miss a message is let go."""
        if self.close_code is not None:
            return
        frame = outgoing.frame
        is_followed = isinstance(frame, ChatStatus) and self.role.follows(frame.payload)
        if not self._cursor.take(frame, is_followed=is_followed):
            return
        for each in self._voice.translate(frame):
            self.backstage.metrics.sent_count += 1
            if not self.events.put(self._with_cursor(each)):
                self.close(CloseCode.SLOW_CONSUMER)

    def _with_cursor(self, one: Event) -> Event:
        id = self._cursor.text()
        if id == self._last_id:
            return one
        self._last_id = id
        return msgspec.structs.replace(one, id=id)

    async def say_patiently(self, frame: ToWorkbench) -> None:
        try:
            await self.events.wait_for_room()
        except TimeoutError:
            raise Stalled from None
        self.say(frame)


class LiveStream:
    """The app that answers one request."""

    def __init__(
        self,
        facade: Facade,
        voice: Voice,
        allowance: Allowance,
        last_id: str,
        headers: dict[str, str],
    ) -> None:
        self._facade = facade
        self._voice = voice
        self._allowance = allowance
        self._cursor = Cursor.read(last_id)
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._pouring: asyncio.Task[None] | None = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem while nothing has been sent."""
        async with self._facade.streams.stream(self._allowance):
            connection = EventConnection(self._facade.backstage, self._voice, self._cursor)
            connection.awaited.update(self._cursor.chats)
            beating = asyncio.get_running_loop().create_task(connection.events.beat(self._ping))
            try:
                await serve(
                    connection,
                    begin=partial(self._begin, connection, send),
                    read=partial(_read, connection, receive),
                    goodbye=partial(self._end, connection, send),
                    greet=partial(self._greet, connection),
                )
            finally:
                beating.cancel()
                if self._pouring is not None:
                    self._pouring.cancel()

    async def _begin(self, connection: EventConnection, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self._headers}
        await send(start)
        retry_ms = self._facade.entropy.random.randint(*RETRY_MS)
        body = f"retry: {retry_ms}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
        pour = self._pour(connection, send)
        self._pouring = asyncio.get_running_loop().create_task(pour)

    async def _pour(self, connection: EventConnection, send: Send) -> None:
        try:
            await connection.events.pour(send, self._voice.encode)
        except TimeoutError:  # nothing of a farewell would be taken either
            connection.close(CloseCode.SLOW_CONSUMER)
            connection.lost()
        except DISCONNECTED:
            connection.lost()
        except Exception:
            log.exception("stream_failed")
            connection.close(CloseCode.OVERLOADED)

    async def _end(self, connection: EventConnection, send: Send, code: CloseCode) -> None:
        """Say why, as a WebSocket's close frame does."""
        why = msgspec.json.encode({"code": int(code), "reason": CLOSE_REASONS[code]})
        connection.events.end_with(Event(why, kind="close"))
        if self._pouring is not None:
            await self._pouring
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _ping(self) -> Item:
        return event(StreamPing(self._facade.backstage.clock.now().timestamp()))

    async def _greet(self, connection: EventConnection) -> None:
        """As on a socket, then all that was missed since the cursor."""
        points = dict(self._cursor.chats)
        await self._voice.role.greet(connection)
        await self._voice.greet(connection, self._cursor)
        for chat_id, seq in points.items():
            await self._go_on(connection, chat_id, seq)

    async def _go_on(self, connection: EventConnection, chat_id: UUID, seq: int) -> None:
        """One chat from where the client is; one that is not theirs to read is no longer told."""
        is_followed = chat_id in connection.views
        try:
            await replay.resume(connection, chat_id, seq, is_answered=False)
            if not is_followed and chat_id in connection.views:  # meanwhile it has become theirs
                seq = self._cursor.chats.get(chat_id, seq)
                await replay.resume(connection, chat_id, seq, is_answered=False)
        except Problem as problem:
            if problem.code is not ErrorCode.CHAT_NOT_FOUND:
                raise
            self._cursor.forget(chat_id)
        finally:
            connection.awaited.discard(chat_id)


async def _never(_wire: Any) -> None:
    raise AssertionError("all goes out by the queue of events")


async def _read(connection: Connection, receive: Receive) -> None:
    """Nothing comes in; it only shows when the client has gone."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except Problem:  # a body beyond its limit
        connection.close(CloseCode.TOO_LARGE)
        return
    except Exception:
        log.exception("reader_failed")
    connection.lost()
