"""The WebSocket endpoints: who may connect, in which format, and the two loops of a connection.

Plain ASGI: a request that may not upgrade is answered with its HTTP status before anything is
accepted. Tokens come in the query or as a subprotocol and are never logged.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from kefu.agents.accounts import Accounts
from kefu.agents.tokens import AgentIdentity, CustomerIdentity, Tokens
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.gateway.agent_role import AgentRole
from kefu.gateway.connection import Connection
from kefu.gateway.customer_role import CustomerRole
from kefu.gateway.direct_socket import EXTENSION, DirectSocket
from kefu.gateway.outbox import Stalled, Wire
from kefu.gateway.ports import Backstage
from kefu.gateway.problems import body_of, headers_of
from kefu.gateway.role import Role
from kefu.storage.errors import StoreUnavailable
from protocol.codes import CLOSE_REASONS, CloseCode, ErrorCode
from protocol.limits import FRAME_BYTES

JSON_PROTOCOL: Final = "kefu.v1"
BINARY_PROTOCOL: Final = "kefu.v1.msgpack"
BEARER: Final = "bearer."
GOODBYE_WITHIN_S: Final = 5.0
DISCONNECTED: Final = (OSError, RuntimeError)  # what a server raises for a peer that is gone
log = logging.getLogger("kefu.gateway")


class Door(Struct, frozen=True):
    """Who is let in. `allowed_origins` are other sites whose pages may connect."""

    accounts: Accounts
    tokens: Tokens
    entropy: Entropy
    allow_guests: bool
    allowed_origins: frozenset[str]
    max_connections: int
    max_connections_per_person: int


class Socket:
    """The ASGI app of one socket address."""

    def __init__(self, backstage: Backstage, door: Door, *, is_workbench: bool = False) -> None:
        self._backstage = backstage
        self._door = door
        self._is_workbench = is_workbench

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            role = await self._admit(scope)  # nothing waits between this and the connection's place
        except StoreUnavailable:
            await _deny(send, Problem(ErrorCode.OVERLOADED, retry_after_s=1.0))
            return
        except Problem as problem:
            await _deny(send, problem)
            return
        is_binary = _protocol(scope) == BINARY_PROTOCOL
        direct = _direct(scope)
        connection = Connection(
            str(self._door.entropy.uuid()),
            role,
            self._backstage,
            _sender(send, is_binary=is_binary),
            write_now=direct.write if direct is not None else None,
            is_binary=is_binary,
        )
        await self._serve(connection, scope, receive, send)

    async def explain(self, request: Request) -> Response:
        """The same question over HTTP, for browsers: they cannot see why an upgrade was refused.

        426 means that nothing is wrong: come as a WebSocket.
        """
        await self._admit(request.scope)
        return Response(status_code=426, headers={"upgrade": "websocket"})

    async def _admit(self, scope: Scope) -> Role:
        """The role of whoever asks. Raises Problem or StoreUnavailable."""
        headers = _headers(scope)
        self._check_origin(scope, headers)
        hub = self._backstage.hub
        if len(hub) >= self._door.max_connections:
            raise Problem(ErrorCode.OVERLOADED, retry_after_s=5.0)
        role = await self._role(_token(scope), headers)
        if hub.count(role.person) >= self._door.max_connections_per_person:
            raise Problem(ErrorCode.RATE_LIMITED, "Too many devices at once.", retry_after_s=5.0)
        return role

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        """Browsers name the page's origin: it must be ours or an allowed shop's."""
        origin = headers.get("origin")
        if origin is None or origin in self._door.allowed_origins:
            return
        secure = scope["scheme"] in ("wss", "https")
        own = f"{'https' if secure else 'http'}://{headers.get('host', '')}"
        if origin != own:
            raise Problem(ErrorCode.FORBIDDEN, "This page's site may not connect here.")

    async def _role(self, token: str | None, headers: dict[str, str]) -> Role:
        if token is None:
            return self._guest(headers)
        identity = await self._door.accounts.identify(token)
        if isinstance(identity, AgentIdentity):
            return AgentRole(identity, self._backstage, is_workbench=self._is_workbench)
        if self._is_workbench:
            raise Problem(ErrorCode.UNAUTHORIZED)
        return CustomerRole(identity, self._backstage)

    def _guest(self, headers: dict[str, str]) -> Role:
        if self._is_workbench or not self._door.allow_guests:
            raise Problem(ErrorCode.UNAUTHORIZED)
        token = self._door.tokens.guest(self._door.entropy.token(16))
        identity = self._door.tokens.verify(token)
        assert isinstance(identity, CustomerIdentity)
        locale = headers.get("accept-language", "").split(",")[0].split(";")[0].strip()[:35]
        guest = msgspec.structs.replace(identity, locale=locale or None)
        return CustomerRole(guest, self._backstage, guest_token=token)

    async def _serve(
        self, connection: Connection, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Read in a task of its own, write in this one, until either side is done."""
        loop = asyncio.get_running_loop()
        gauge = self._backstage.metrics.connections.labels(type(connection.role).__name__)
        gauge.inc()
        connection.open()  # in the same step as it was let in, so that all are counted
        expiry = _close_at_expiry(connection, loop)
        reader: asyncio.Task[None] | None = None
        try:
            await send({"type": "websocket.accept", "subprotocol": _protocol(scope)})
            direct = _direct(scope)
            if direct is not None:
                direct.attach(connection.receive)
            reader = loop.create_task(_read(connection, receive))
            await connection.write()
        except Stalled:
            connection.close(CloseCode.SLOW_CONSUMER)
        except DISCONNECTED:
            connection.lost()
        finally:
            gauge.dec()
            expiry.cancel()
            connection.leave()
            if reader is not None:
                reader.cancel()
        if connection.close_code is not None and not connection.is_lost:
            await _say_goodbye(send, connection.close_code)


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


def _close_at_expiry(
    connection: Connection, loop: asyncio.AbstractEventLoop
) -> asyncio.TimerHandle:
    now = connection.backstage.clock.now()
    left_s = (connection.role.expires_at - now).total_seconds()
    return loop.call_later(max(0.0, left_s), connection.close, CloseCode.SIGNED_OUT)


async def _say_goodbye(send: Send, code: CloseCode) -> None:
    try:
        async with asyncio.timeout(GOODBYE_WITHIN_S):
            await send(
                {"type": "websocket.close", "code": int(code), "reason": CLOSE_REASONS[code]}
            )
    except (TimeoutError, *DISCONNECTED):
        pass


def _sender(send: Send, *, is_binary: bool) -> Callable[[Wire], Any]:
    key = "bytes" if is_binary else "text"

    async def write(wire: Wire) -> None:
        await send({"type": "websocket.send", key: wire})

    return write


def _direct(scope: Scope) -> DirectSocket | None:
    """The short way to the wire, where the server has one."""
    found: DirectSocket | None = scope.get("extensions", {}).get(EXTENSION)
    return found


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _protocol(scope: Scope) -> str | None:
    """The format both sides speak; none is asked for by old clients, who speak JSON."""
    offered = scope.get("subprotocols", ())
    return next((name for name in (BINARY_PROTOCOL, JSON_PROTOCOL) if name in offered), None)


def _token(scope: Scope) -> str | None:
    """From the subprotocol pair, else from the query. An empty one is a bad one, not a guest."""
    for name in scope.get("subprotocols", ()):
        if name.startswith(BEARER):
            return str(name.removeprefix(BEARER))
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return query["token"][0] if "token" in query else None


async def _deny(send: Send, problem: Problem) -> None:
    """Refuse the upgrade with the problem's own HTTP status."""
    start: dict[str, Any] = {
        "type": "websocket.http.response.start",
        "status": problem.status,
        "headers": headers_of(problem),
    }
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body_of(problem)})
