"""The systems that can be measured: kefu, and the same durable chat on socket.io and pg."""

import asyncio
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from bench.dialects import Dialect, Kefu, SocketIo
from bench.pair import Side, Tally
from bench.shop import Shop, cpu_seconds, open_shop
from bench.wire import connect
from kefu.storage.embedded import open_embedded

PEER = Path(__file__).parent / "peers" / "socketio"


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
        await asyncio.wait_for(customer.is_open.wait(), 20)
        token = await self._shop.agent_token()
        agent.socket = await connect(f"{ws}/ws/chat?token={token}", agent.heard)
        accept = {"type": "accept_chat", "payload": {"chat_id": customer.chat_id}}
        agent.socket.send(json.dumps(accept).encode())
        await _ready(customer, agent)
        return customer, agent


class SocketIoSystem:
    dialect: Dialect = SocketIo()

    def __init__(self, ws: str, process_id: int) -> None:
        self._ws = ws
        self.process_id = process_id

    async def pair(self, tally: Tally, number: int) -> tuple[Side, Side]:
        sides = _sides(tally, self.dialect, number)
        for side, name in zip(sides, "ca", strict=True):
            side.chat_id = str(number)
            query = f"EIO=4&transport=websocket&chat={number}&side={name}"
            side.socket = await connect(f"{self._ws}/socket.io/?{query}", side.heard)
            side.socket.send(b"40")
        await _ready(*sides)
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
    if name == "kefu":
        async with open_shop(server_cpus) as shop:
            yield KefuSystem(shop)
    else:
        async with _open_socketio(server_cpus) as system:
            yield system


@asynccontextmanager
async def _open_socketio(server_cpus: set[int] | None) -> AsyncIterator[SocketIoSystem]:
    if not (PEER / "node_modules").is_dir():
        done = await asyncio.create_subprocess_exec("npm", "ci", "--silent", cwd=PEER)
        await done.wait()
    folder = Path(tempfile.mkdtemp(prefix="kefu-bench-", dir="/tmp"))
    os.chmod(folder, 0o755)
    try:
        async with open_embedded(folder / "data", on_progress=lambda _words: None) as stores:
            found = re.fullmatch(r"postgresql://\S*/(\w+)\?host=(\S+?)(&\S*)?", stores.database_url)
            assert found is not None, stores.database_url
            process = await asyncio.create_subprocess_exec(
                *("node", "server.mjs"),
                cwd=PEER,
                env={**os.environ, "PGHOST": found[2], "PGDATABASE": found[1]},
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                if server_cpus:
                    os.sched_setaffinity(process.pid, server_cpus)
                assert process.stdout is not None
                line = (await process.stdout.readline()).decode()
                yield SocketIoSystem(line.split()[1], process.pid)
            finally:
                process.send_signal(signal.SIGTERM)
                await process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


__all__ = ["System", "cpu_seconds", "open_system"]
