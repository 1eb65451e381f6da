"""The WebSocket endpoints: in which format both sides speak, and how frames come and go.

Plain ASGI: a request that may not upgrade is answered with its HTTP status before anything is
accepted.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from kefu.errors import Problem
from kefu.gateway.connection import Connection
from kefu.gateway.direct_socket import EXTENSION, DirectSocket
from kefu.gateway.door import Door, Visitor
from kefu.gateway.outbox import Outgoing, Wire
from kefu.gateway.ports import Backstage
from kefu.gateway.problems import body_of, headers_of
from kefu.gateway.serving import serve
from kefu.storage.errors import StoreUnavailable
from protocol.codes import CLOSE_REASONS, CloseCode, ErrorCode
from protocol.limits import FRAME_BYTES

JSON_PROTOCOL: Final = "kefu.v1"
BINARY_PROTOCOL: Final = "kefu.v1.msgpack"
log = logging.getLogger("kefu.gateway")


class Socket:
    """The ASGI app of one socket address."""

    def __init__(self, backstage: Backstage, door: Door, *, is_workbench: bool = False) -> None:
        self._backstage = backstage
        self._door = door
        self._is_workbench = is_workbench

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            visitor = await self._admit(scope)  # nothing waits between this and its place
        except StoreUnavailable:
            await _deny(send, Problem(ErrorCode.OVERLOADED, retry_after_s=1.0))
            return
        except Problem as problem:
            await _deny(send, problem)
            return
        connection = self._connection(visitor, scope, send)
        await serve(
            connection,
            begin=partial(_accept, connection, scope, send),
            read=partial(_read, connection, receive),
            goodbye=partial(_close, send),
        )

    async def explain(self, request: Request) -> Response:
        """The same question over HTTP, for browsers: they cannot see why an upgrade was refused.

        426 means that nothing is wrong: come as a WebSocket.
        """
        await self._admit(request.scope)
        return Response(status_code=426, headers={"upgrade": "websocket"})

    async def _admit(self, scope: Scope) -> Visitor:
        visitor = await self._door.admit(scope, self._backstage.hub)
        if self._is_workbench and not visitor.is_agent:
            raise Problem(ErrorCode.UNAUTHORIZED)
        return visitor

    def _connection(self, visitor: Visitor, scope: Scope, send: Send) -> Connection:
        is_binary = _protocol(scope) == BINARY_PROTOCOL
        direct = _direct(scope)
        return Connection(
            self._backstage.connection_id(),
            visitor.role(self._backstage, is_workbench=self._is_workbench),
            self._backstage,
            _sender(send, is_binary=is_binary),
            write_now=direct.write if direct is not None else None,
            encode=Outgoing.msgpack if is_binary else Outgoing.json,
            is_binary=is_binary,
            is_agents=visitor.is_agent,
        )


async def _accept(connection: Connection, scope: Scope, send: Send) -> None:
    await send({"type": "websocket.accept", "subprotocol": _protocol(scope)})
    direct = _direct(scope)
    if direct is not None:
        direct.attach(connection.receive)


async def _read(connection: Connection, receive: Receive) -> None:
    try:
        while True:
            message: Message = await receive()
            if message["type"] != "websocket.receive":
                break
            data = message.get("text")
            if data is None:
                data = message["bytes"]
            if len(data) > FRAME_BYTES:
                connection.close(CloseCode.TOO_LARGE)
                continue
            connection.receive(data)
    except Exception:  # a bug, or a server that gave up on the peer
        log.exception("reader_failed")
    connection.lost()


async def _close(send: Send, code: CloseCode) -> None:
    await send({"type": "websocket.close", "code": int(code), "reason": CLOSE_REASONS[code]})


def _sender(send: Send, *, is_binary: bool) -> Callable[[Wire], Any]:
    key = "bytes" if is_binary else "text"

    async def write(wire: Wire) -> None:
        await send({"type": "websocket.send", key: wire})

    return write


def _direct(scope: Scope) -> DirectSocket | None:
    """The short way to the wire, where the server has one."""
    found: DirectSocket | None = scope.get("extensions", {}).get(EXTENSION)
    return found


def _protocol(scope: Scope) -> str | None:
    """The format both sides speak; none is asked for by old clients, who speak JSON."""
    offered = scope.get("subprotocols", ())
    return next((name for name in (BINARY_PROTOCOL, JSON_PROTOCOL) if name in offered), None)


async def _deny(send: Send, problem: Problem) -> None:
    """Refuse the upgrade with the problem's own HTTP status."""
    start: dict[str, Any] = {
        "type": "websocket.http.response.start",
        "status": problem.status,
        "headers": headers_of(problem),
    }
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body_of(problem)})
