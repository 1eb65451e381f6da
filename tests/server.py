"""A real `kefu serve` in a process of its own, and the people who use it.

`server` is one for the whole session, on its own database; tests bring their own customers and
agents and so do not see each other's chats. `own_server` is a test's own, to be killed.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import anyio
import pytest
from anyio.abc import Process

from kefu.agents.accounts import Accounts, ensure_secrets
from kefu.agents.passwords import Passwords
from kefu.agents.staff.ports import World
from kefu.agents.staff.roster import Roster
from kefu.agents.tokens import Tokens
from kefu.audit.log import AuditLog
from kefu.audit.messages import OPERATOR
from kefu.clock import SystemClock
from kefu.entropy import SystemEntropy
from kefu.settings import ALIASES
from kefu.storage.database import open_pool
from kefu.storage.embedded import Stores, open_embedded
from tests.databases import Databases
from tests.stack import short_directory
from tests.talk import Talker

__all__ = ["own_people", "own_server", "people", "server", "session_database"]

ROOT = Path(__file__).parents[1]
START_S = 50.0
# People answer first, unless a story is about the bot.
HUMANS_ONLY = {"KEFU_AI_PROVIDER": "none"}
_READY = re.compile(r"Customer +(http://\S+)/\s")
_LINK = re.compile(r"#link=(\S+)")
_TROUBLE = re.compile(r'"level":"(error|critical)"|Traceback|Exception')


class Server:
    """A running kefu. `url` is http://…; sockets are under `ws`."""

    def __init__(self, process: Process, url: str, link: str | None, said: list[str]) -> None:
        self.process = process
        self.url = url
        self.link = link
        self.said = said

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1)

    @property
    def troubles(self) -> list[str]:
        """The lines that tell of a failure of its own."""
        lines = "".join(self.said).splitlines()
        return [line for line in lines if _TROUBLE.search(line)]

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Ask it to end, as Ctrl-C does; its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        with anyio.fail_after(30):
            return await self.process.wait()


@asynccontextmanager
async def running(
    variables: Mapping[str, str], *, port: int = 0, arguments: tuple[str, ...] = ()
) -> AsyncIterator[Server]:
    """`kefu serve`, ready to be used; killed at the end if it still runs. It finds no snapshots."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KEFU_") and k not in ALIASES}
    with short_directory() as directory:
        process = await anyio.open_process(
            [sys.executable, "-m", "kefu", "serve", "--port", str(port), *arguments],
            env={
                **clean,
                "PYTHONPATH": str(ROOT),
                "KEFU_RECO_DIR": str(directory / "recommendations"),
                **HUMANS_ONLY,
                **variables,
            },
            cwd=ROOT,
            stderr=subprocess.STDOUT,
        )
        said: list[str] = []
        try:
            async with anyio.create_task_group() as tasks:
                url = await tasks.start(_listen, process, said)
                yield Server(process, url, _found(_LINK, said), said)
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()


async def _listen(
    process: Process, said: list[str], *, task_status: anyio.abc.TaskStatus[str]
) -> None:
    """Keep reading what the server says, so that it never waits for us."""
    assert process.stdout is not None
    is_ready = False
    with anyio.fail_after(START_S) as limit:
        async for chunk in process.stdout:
            said.append(chunk.decode())
            url = _found(_READY, said)
            if not is_ready and url is not None and "Ctrl-C" in "".join(said):
                is_ready = True
                limit.deadline = anyio.current_time() + 10**9
                task_status.started(url)
    if not is_ready:
        raise AssertionError(f"kefu did not start: {''.join(said)}")


def _found(pattern: re.Pattern[str], said: list[str]) -> str | None:
    match = pattern.search("".join(said))
    return match.group(1) if match else None


class Agent(NamedTuple):
    id: UUID
    username: str
    token: str


class People:
    """Makes agents and tokens for a server's database, and connects them."""

    def __init__(self, server: Server, accounts: Accounts, roster: Roster, tokens: Tokens) -> None:
        self.server = server
        self.accounts = accounts
        self.roster = roster
        self.tokens = tokens

    async def agent(
        self, name: str = "小可", *, role: str = "agent", max_sessions: int = 5
    ) -> Agent:
        username = f"a{uuid4().hex[:12]}"
        made = await self.roster.create(
            OPERATOR, username, name, role=role, max_sessions=max_sessions
        )
        link = await self.roster.make_link(OPERATOR, username)
        signed_in = await self.accounts.redeem_link(link)
        return Agent(made.id, username, signed_in.token)

    async def sign_in_link(self, username: str) -> str:
        """A one-time link for a new agent of that username."""
        await self.roster.create(OPERATOR, username, username.title())
        return f"{self.server.url}/agent#link={await self.roster.make_link(OPERATOR, username)}"

    def customer(self, name: str | None = "王小明", **claims: bool) -> str:
        """A new customer's token."""
        return self.tokens.customer(f"c-{uuid4().hex}", name=name, ttl_s=600, **claims)

    @asynccontextmanager
    async def connected(
        self, token: str | None, path: str = "/ws/chat", **options: object
    ) -> AsyncIterator[Talker]:
        async with Talker.connected(f"{self.server.ws}{path}", token, **options) as talker:
            yield talker

    @asynccontextmanager
    async def at_work(self, agent: Agent) -> AsyncIterator[Talker]:
        """The agent on the workbench, the queue before them."""
        async with self.connected(agent.token, "/ws/workbench") as talker:
            await talker.expect("queue_snapshot")
            yield talker


@asynccontextmanager
async def people_of(server: Server, database_url: str) -> AsyncIterator[People]:
    pool = await open_pool(database_url, min_size=1, max_size=4)
    try:
        clock = SystemClock()
        entropy = SystemEntropy(clock)
        keys = await ensure_secrets(pool, entropy, None)
        tokens = Tokens(keys.shop_secret, keys.own_key, clock=clock)
        passwords = Passwords()
        accounts = Accounts(pool, tokens, passwords, clock, entropy)
        roster = Roster(World(pool, passwords, clock, entropy, AuditLog(pool, clock)))
        yield People(server, accounts, roster, tokens)
    finally:
        pool.terminate()


@asynccontextmanager
async def people_at(server: Server, data: Path) -> AsyncIterator[People]:
    """Of a server with bundled stores under `data`; the stores are left to it alone."""
    async with open_embedded(data, on_progress=lambda words: None) as stores:
        url = stores.database_url
    async with people_of(server, url) as people:
        yield people


@pytest.fixture(scope="session")
async def session_database(databases: Databases) -> AsyncIterator[str]:
    async with databases.lent() as url:
        yield url


@pytest.fixture(scope="session")
async def server(lasting_redis_url: str, session_database: str) -> AsyncIterator[Server]:
    variables = {"KEFU_DATABASE_URL": session_database, "KEFU_REDIS_URL": lasting_redis_url}
    async with running(variables) as server:
        yield server


@pytest.fixture
async def people(server: Server, session_database: str) -> AsyncIterator[People]:
    async with people_of(server, session_database) as people:
        yield people


@pytest.fixture
async def own_server(stores: Stores, database: str) -> AsyncIterator[Server]:
    """With the demo shop."""
    variables = {"KEFU_DATABASE_URL": database, "KEFU_REDIS_URL": stores.redis_url}
    async with running(variables, arguments=("--demo",)) as server:
        yield server


@pytest.fixture
async def own_people(own_server: Server, database: str) -> AsyncIterator[People]:
    async with people_of(own_server, database) as people:
        yield people
