"""Frames without a WebSocket, from kefu to the client: one connection as server-sent events.

It is a connection like any other, only that nothing comes in on it: the client's own frames come by
POST (posts.py). For an agent it is a workbench.
"""

import asyncio
import logging
from functools import partial
from typing import Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kefu.agents.tokens import AgentIdentity
from kefu.delivery import WORKBENCH
from kefu.dispatch import messages as dispatch
from kefu.errors import Problem
from kefu.gateway import replay
from kefu.gateway.connection import Connection
from kefu.gateway.cursor import Cursor
from kefu.gateway.door import Door, Visitor
from kefu.gateway.outbox import Outgoing, Wire
from kefu.gateway.ports import Backstage
from kefu.gateway.serving import serve
from protocol.codes import CLOSE_REASONS, CloseCode, ErrorCode
from protocol.server import ChatStatus

HEARTBEAT_S: Final = 30.0
RETRY_MS: Final = (1000, 3000)
HEADERS: Final = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}
BEAT: Final = b":\n\n"
log = logging.getLogger("kefu.gateway")


class Streams:
    """The endpoint."""

    def __init__(self, backstage: Backstage, door: Door) -> None:
        self._backstage = backstage
        self._door = door

    async def open(self, request: Request) -> ASGIApp:
        """The app that answers the request. Raises Problem or StoreUnavailable."""
        visitor = await self._door.admit(request.scope, self._backstage.hub)
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        cursor = Cursor.read(request.headers.get("last-event-id", ""))
        return _Stream(visitor, self._backstage, self._door, cursor)


class _Stream:
    """One client's stream."""

    def __init__(self, visitor: Visitor, backstage: Backstage, door: Door, cursor: Cursor) -> None:
        self._visitor = visitor
        self._backstage = backstage
        self._entropy = door.entropy
        self._cursor = cursor
        self._last_id = cursor.text()
        # the feed is asked for here, from where the client is, and not by the role's greeting
        self._role = visitor.role(backstage, is_workbench=False)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        topics = self._role.topics
        connection = Connection(
            self._backstage.connection_id(),
            self._role,
            self._backstage,
            partial(_write, send),
            encode=self._event,
            is_agents=self._visitor.is_agent,
            topics=(*topics, WORKBENCH) if self._visitor.is_agent else topics,
        )
        connection.awaited.update(self._cursor.chats)  # frames may come before the greeting does
        beating = asyncio.get_running_loop().create_task(_beat(connection))
        try:
            await serve(
                connection,
                begin=partial(self._begin, send),
                read=partial(_read, connection, receive),
                goodbye=partial(_end, send),
                greet=partial(self._greet, connection),
            )
        finally:
            beating.cancel()

    async def _begin(self, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        retry_ms = self._entropy.random.randint(*RETRY_MS)
        await _write(send, f"retry: {retry_ms}\n\n".encode())

    def _event(self, outgoing: Outgoing) -> Wire | None:
        """The frame with the cursor behind it, where that has moved."""
        frame = outgoing.frame
        is_followed = isinstance(frame, ChatStatus) and self._role.follows(frame.payload)
        if not self._cursor.take(frame, is_followed=is_followed):
            return None
        id, event = self._cursor.text(), f"data: {outgoing.json()}\n\n"
        if id != self._last_id:
            self._last_id, event = id, f"id: {id}\n{event}"
        return event.encode()

    async def _greet(self, connection: Connection) -> None:
        """As on a socket, then all that was missed since the cursor."""
        points = dict(self._cursor.chats)
        await self._role.greet(connection)
        self._subscribe(connection)
        for chat_id, seq in points.items():
            await self._go_on(connection, chat_id, seq)

    def _subscribe(self, connection: Connection) -> None:
        """The feed from where the client is, or all of it."""
        if not isinstance(self._visitor.identity, AgentIdentity):
            return
        feed_id, feed_seq = self._cursor.feed or (None, None)
        agent_id = self._visitor.identity.agent_id
        point = dispatch.SubscribeFeed(connection.origin(), agent_id, feed_id, feed_seq)
        if not self._backstage.ref(dispatch.KIND, dispatch.MAIN).tell(point):
            raise Problem(ErrorCode.OVERLOADED)

    async def _go_on(self, connection: Connection, chat_id: UUID, seq: int) -> None:
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


async def _write(send: Send, wire: Wire) -> None:
    body = wire.encode() if isinstance(wire, str) else wire
    await send({"type": "http.response.body", "body": body, "more_body": True})


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


async def _beat(connection: Connection) -> None:
    """For ever: a line that shows both ends that the other is there."""
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        connection.push(BEAT)


async def _end(send: Send, code: CloseCode) -> None:
    """Say why, as a WebSocket's close frame does."""
    why = msgspec.json.encode({"code": int(code), "reason": CLOSE_REASONS[code]})
    await _write(send, b"event: close\ndata: " + why + b"\n\n")
    await send({"type": "http.response.body", "body": b"", "more_body": False})
