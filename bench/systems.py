"""The systems that can be measured, and how two people come to talk to each other there."""

import asyncio
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from bench.dialects import Dialect, Kefu, SocketIo
from bench.node import Server, open_node
from bench.pair import Side, Tally
from bench.shop import Shop, open_shop
from bench.wire import connect
from kefu.storage.embedded import open_embedded

SOCKETIO, DURABLE = "socketio", "server.mjs"


class System(Protocol):
    """`process_id` is the server's; its databases are not counted."""

    process_id: int
    dialect: Dialect

    async def pair(self, tally: Tally, number: int) -> tuple[Side, Side]:
        """Two sides, connected and talking to each other."""
        ...


class KefuSystem:
    dialect: Dialect = Kefu()

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.process_id = shop.process_id

    async def pair(self, tally: Tally, number: int) -> tuple[Side, Side]:
        customer, agent = _sides(tally, self.dialect, number)
        ws = self._shop.ws
        customer.socket = await connect(
            f"{ws}/ws/chat?token={self._shop.customer_token()}", customer.heard
        )
        customer.socket.send(b'{"type":"start_chat"}')
        async with asyncio.timeout(20):
            await customer.is_open.wait()
        token = await self._shop.agent_token()
        agent.socket = await connect(f"{ws}/ws/chat?token={token}", agent.heard)
        accept = {"type": "accept_chat", "payload": {"chat_id": customer.chat_id}}
        agent.socket.send(json.dumps(accept).encode())
        await _ready(customer, agent)
        return customer, agent


class SocketIoSystem:
    dialect: Dialect = SocketIo()

    def __init__(self, server: Server) -> None:
        self._ws = server.ws
        self.process_id = server.process_id

    async def pair(self, tally: Tally, number: int) -> tuple[Side, Side]:
        sides = _sides(tally, self.dialect, number)
        for side, name in zip(sides, "ca", strict=True):
            side.chat_id = str(number)
            query = f"EIO=4&transport=websocket&chat={number}&side={name}"
            side.socket = await connect(f"{self._ws}/socket.io/?{query}", side.heard)
            side.socket.send(b"40")
        await _ready(*sides)
        return sides


class WsSystem:
    """Knows no handshake of its own: who is connected is there."""

    dialect: Dialect = Kefu()

    def __init__(self, server: Server) -> None:
        self._ws = server.ws
        self.process_id = server.process_id

    async def pair(self, tally: Tally, number: int) -> tuple[Side, Side]:
        sides = _sides(tally, self.dialect, number)
        for side, name in zip(sides, "ca", strict=True):
            side.chat_id = str(number)
            side.socket = await connect(f"{self._ws}/?chat={number}&side={name}", side.heard)
        return sides


def _sides(tally: Tally, dialect: Dialect, number: int) -> tuple[Side, Side]:
    one, other = Side(tally, dialect, f"c{number}"), Side(tally, dialect, f"a{number}")
    one.other, other.other = other, one
    return one, other


async def _ready(*sides: Side) -> None:
    async with asyncio.timeout(20):
        for side in sides:
            await side.is_ready.wait()


@asynccontextmanager
async def open_system(name: str, server_cpus: set[int] | None) -> AsyncIterator[System]:
    """`kefu`; `socket.io + pg`, the same durable chat; `socket.io` and `ws`, which keep nothing."""
    if name == "kefu":
        async with open_shop(server_cpus) as shop:
            yield KefuSystem(shop)
    elif name == "socket.io + pg":
        async with (
            _open_postgres() as env,
            open_node(SOCKETIO, DURABLE, server_cpus, env) as server,
        ):
            yield SocketIoSystem(server)
    elif name == "socket.io":
        async with open_node(SOCKETIO, "memory.mjs", server_cpus) as server:
            yield SocketIoSystem(server)
    else:
        async with open_node("ws", "server.mjs", server_cpus) as server:
            yield WsSystem(server)


@asynccontextmanager
async def _open_postgres() -> AsyncIterator[dict[str, str]]:
    """A database of its own, as node-postgres is told of it."""
    folder = Path(tempfile.mkdtemp(prefix="kefu-bench-", dir="/tmp"))
    os.chmod(folder, 0o755)
    try:
        async with open_embedded(folder / "data", on_progress=lambda _words: None) as stores:
            found = re.fullmatch(r"postgresql://\S*/(\w+)\?host=(\S+?)(&\S*)?", stores.database_url)
            assert found is not None, stores.database_url
            yield {"PGHOST": found[2], "PGDATABASE": found[1]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
