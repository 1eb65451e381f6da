"""Customers who are connected and say nothing: how they come, on each system."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple, Protocol

from bench.node import Server, open_node
from bench.shop import Shop, open_shop
from bench.wire import LeanSocket, connect

CHATS_PER_AGENT = 50
WITHIN_S = 60.0
OnText = Callable[[bytes], None]


class Way(NamedTuple):
    """How one customer connects. `hello` is said at once; `awaited` begins or is in the frame that
    says they are there; nothing is awaited where connecting is all."""

    url: str
    hello: bytes = b""
    awaited: bytes = b""


class Lobby(Protocol):
    process_id: int

    async def prepare(self, count: int) -> None:
        """What must be there before so many customers come, and is not to be measured."""
        ...

    def way(self, number: int) -> Way: ...

    async def settle_in(self, number: int, visit: "Visit") -> None:
        """What the customer still needs after having come the first time."""
        ...


class Visit:
    """One customer's connection; from `open` on it answers what the server asks to keep it."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._is_there = asyncio.get_running_loop().create_future()
        self.first = b""

    async def open(self) -> None:
        """Until the server has said that they are there. Raises OSError when it refuses."""
        self.socket: LeanSocket = await connect(self._way.url, self._hear)
        if self._way.hello:
            self.socket.send(self._way.hello)
        if self._way.awaited:
            async with asyncio.timeout(WITHIN_S):
                await self._is_there

    def _hear(self, body: bytes) -> None:
        if body == b"2":
            self.socket.send(b"3")
        elif not self._is_there.done() and self._way.awaited in body:
            self.first = body
            self._is_there.set_result(None)


class KefuLobby:
    """Signed-in customers. With chats, each has one with an agent, fifty to an agent."""

    def __init__(self, shop: Shop, *, with_chats: bool) -> None:
        self._shop = shop
        self._with_chats = with_chats
        self._tokens: list[str] = []
        self._agents: list[LeanSocket] = []
        self._known: set[int] = set()
        self._accepted: dict[str, asyncio.Future[None]] = {}
        self.process_id = shop.process_id

    async def prepare(self, count: int) -> None:
        self._tokens = [self._shop.customer_token() for _ in range(count)]
        if self._with_chats:
            for _ in range(-(-count // CHATS_PER_AGENT)):
                token = await self._shop.agent_token()
                self._agents.append(
                    await connect(f"{self._shop.ws}/ws/chat?token={token}", self._hear)
                )

    def way(self, number: int) -> Way:
        url = f"{self._shop.ws}/ws/chat?token={self._tokens[number]}"
        if not self._with_chats:
            return Way(url)
        opening = b"" if number in self._known else b'{"type":"start_chat"}'
        return Way(url, opening, b'"chat_status"')

    async def settle_in(self, number: int, visit: Visit) -> None:
        if not self._with_chats or number in self._known:
            return
        self._known.add(number)
        chat_id = json.loads(visit.first)["payload"]["chat_id"]
        accepted = self._accepted[chat_id] = asyncio.get_running_loop().create_future()
        accept = {"type": "accept_chat", "payload": {"chat_id": chat_id}}
        self._agents[number // CHATS_PER_AGENT].send(json.dumps(accept).encode())
        async with asyncio.timeout(WITHIN_S):
            await accepted

    def _hear(self, body: bytes) -> None:
        frame = json.loads(body)
        accepted = self._accepted.get(frame["payload"].get("chat_id"))
        if frame["payload"].get("status") == "active" and accepted and not accepted.done():
            accepted.set_result(None)


class PeerLobby:
    """Anybody is let in, and nothing is kept of them."""

    def __init__(self, server: Server, way: Way) -> None:
        self._way = way
        self.process_id = server.process_id

    async def prepare(self, count: int) -> None:
        pass

    def way(self, number: int) -> Way:
        return self._way

    async def settle_in(self, number: int, visit: Visit) -> None:
        pass


@asynccontextmanager
async def open_lobby(name: str, cpus: set[int] | None) -> AsyncIterator[Lobby]:
    """`kefu`, `kefu with chats`, `ws`, `socket.io`."""
    async with AsyncExitStack() as stack:
        if name.startswith("kefu"):
            shop = await stack.enter_async_context(open_shop(cpus))
            yield KefuLobby(shop, with_chats=name.endswith("chats"))
        elif name == "ws":
            server = await stack.enter_async_context(open_node("ws", "server.mjs", cpus))
            yield PeerLobby(server, Way(f"{server.ws}/"))
        else:
            server = await stack.enter_async_context(open_node("socketio", "memory.mjs", cpus))
            url = f"{server.ws}/socket.io/?EIO=4&transport=websocket"
            yield PeerLobby(server, Way(url, b"40", b"40{"))
