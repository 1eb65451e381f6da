"""Where one says something and all hear it: kefu's workbench feed, and the same on the peers."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from bench.node import Server, open_node
from bench.shop import Shop, open_shop
from bench.wire import LeanSocket, connect

SOCKETS_PER_AGENT = 10
STATUSES = ("busy", "online")
OnText = Callable[[bytes], None]


class Feed(Protocol):
    """A change of an agent's status is heard by every listener, and by nobody else."""

    process_id: int

    async def listen(self, number: int, on_text: OnText) -> LeanSocket: ...
    async def speaker(self) -> LeanSocket: ...
    def say(self, number: int) -> bytes: ...


class KefuFeed:
    """Workbench sockets, ten to an agent as the usual limit allows; the speaker's is no such."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._token = ""
        self.process_id = shop.process_id

    async def listen(self, number: int, on_text: OnText) -> LeanSocket:
        if number % SOCKETS_PER_AGENT == 0:
            self._token = await self._shop.agent_token()
        return await connect(f"{self._shop.ws}/ws/workbench?token={self._token}", on_text)

    async def speaker(self) -> LeanSocket:
        token = await self._shop.agent_token()
        return await connect(f"{self._shop.ws}/ws/chat?token={token}", lambda _body: None)

    def say(self, number: int) -> bytes:
        return _change(number)


class WsFeed:
    def __init__(self, server: Server) -> None:
        self._ws = server.ws
        self.process_id = server.process_id

    async def listen(self, number: int, on_text: OnText) -> LeanSocket:
        return await connect(f"{self._ws}/?feed", on_text)

    async def speaker(self) -> LeanSocket:
        return await connect(f"{self._ws}/", lambda _body: None)

    def say(self, number: int) -> bytes:
        return _change(number)


class SocketIoFeed:
    def __init__(self, server: Server) -> None:
        self._url = f"{server.ws}/socket.io/?EIO=4&transport=websocket"
        self.process_id = server.process_id

    async def listen(self, number: int, on_text: OnText) -> LeanSocket:
        socket = await connect(f"{self._url}&feed", on_text)
        socket.send(b"40")
        return socket

    async def speaker(self) -> LeanSocket:
        socket = await connect(self._url, lambda _body: None)
        socket.send(b"40")
        return socket

    def say(self, number: int) -> bytes:
        return b"42" + json.dumps(["set_status", {"status": STATUSES[number % 2]}]).encode()


def _change(number: int) -> bytes:
    change = {"type": "set_status", "payload": {"status": STATUSES[number % 2]}}
    return json.dumps(change).encode()


@asynccontextmanager
async def open_feed(name: str, server_cpus: set[int] | None) -> AsyncIterator[Feed]:
    if name == "kefu":
        async with open_shop(server_cpus) as shop:
            yield KefuFeed(shop)
    elif name == "ws":
        async with open_node("ws", "server.mjs", server_cpus) as server:
            yield WsFeed(server)
    else:
        async with open_node("socketio", "memory.mjs", server_cpus) as server:
            yield SocketIoFeed(server)
