"""A kefu to be measured: started like anybody starts it, on its own data, with its own people."""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from kefu.agents.accounts import Accounts, ensure_secrets
from kefu.agents.passwords import Passwords
from kefu.agents.staff.ports import World
from kefu.agents.staff.roster import Roster
from kefu.agents.tokens import Tokens
from kefu.audit.log import AuditLog
from kefu.audit.messages import OPERATOR
from kefu.clock import SystemClock
from kefu.entropy import SystemEntropy
from kefu.storage.database import open_pool
from kefu.storage.embedded import Stores, open_embedded

ROOT = Path(__file__).parents[1]
UNLIMITED = {
    "KEFU_MAX_FRAME_RATE": "10000",
    "KEFU_MAX_FRAME_BURST": "100000",
    "KEFU_MAX_CONNECTIONS": "100000",
    "KEFU_LOG_LEVEL": "warning",
    "KEFU_AI_PROVIDER": "none",  # what is measured is people's chats; bench/ai_sse.py has the bot
}
_READY = re.compile(r"Customer +(http://\S+)/\s")


class Shop:
    """`ws` is the sockets' address; people are made here, without the server."""

    def __init__(
        self, ws: str, process_id: int, accounts: Accounts, roster: Roster, tokens: Tokens
    ) -> None:
        self.ws = ws
        self.process_id = process_id
        self._accounts = accounts
        self._roster = roster
        self._tokens = tokens

    def customer_token(self, sub: str | None = None) -> str:
        """Of a new customer, or of the one of that name."""
        return self._tokens.customer(sub or f"bench-{uuid4().hex}", ttl_s=86_400)

    async def agent_token(self) -> str:
        username = f"b{uuid4().hex[:12]}"
        await self._roster.create(OPERATOR, username, "Bench", max_sessions=50)
        link = await self._roster.make_link(OPERATOR, username)
        return (await self._accounts.redeem_link(link)).token


def cpu_seconds(process_id: int) -> float:
    """CPU time a process has used so far."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(process_id: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{process_id}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) if found else 0


@asynccontextmanager
async def open_shop(
    server_cpus: set[int] | None = None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Shop]:
    """A server of its own on a free port, pinned where that is asked for; gone at the end.

    `settings` are KEFU_* variables beside those that lift every limit.
    """
    async with open_own_stores() as stores, serving(stores, server_cpus, settings) as shop:
        yield shop


@asynccontextmanager
async def open_own_stores() -> AsyncIterator[Stores]:
    """PostgreSQL and Valkey with nothing in them; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="kefu-bench-", dir="/tmp"))
    os.chmod(folder, 0o755)
    try:
        async with open_embedded(folder / "data", on_progress=lambda _words: None) as stores:
            yield stores
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def serving(
    stores: Stores,
    server_cpus: set[int] | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Shop]:
    """One instance on these stores; there may be several."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kefu", "serve", "--port", "0"),
        env={
            **os.environ,
            **UNLIMITED,
            **(settings or {}),
            "KEFU_DATABASE_URL": stores.database_url,
            "KEFU_REDIS_URL": stores.redis_url,
        },
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if server_cpus:
            os.sched_setaffinity(process.pid, server_cpus)
        url = await _ready(process)
        pool = await open_pool(stores.database_url, min_size=1, max_size=2)
        clock = SystemClock()
        entropy = SystemEntropy(clock)
        keys = await ensure_secrets(pool, entropy, None)
        tokens = Tokens(keys.shop_secret, keys.own_key, clock=clock)
        passwords = Passwords()
        accounts = Accounts(pool, tokens, passwords, clock, entropy)
        roster = Roster(World(pool, passwords, clock, entropy, AuditLog(pool, clock)))
        yield Shop(url.replace("http", "ws", 1), process.pid, accounts, roster, tokens)
        pool.terminate()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _ready(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    said = ""
    async for line in process.stdout:
        said += line.decode()
        found = _READY.search(said)
        if found:
            return found[1]
    raise RuntimeError(f"kefu did not start: {said}")
