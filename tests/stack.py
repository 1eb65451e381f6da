"""Fixtures of the real stack: one embedded PostgreSQL and Valkey a test session, in a short
directory under /tmp; a database a test, with the whole schema and no rows (tests/databases.py).

A killed session leaves no process (the guard sees to it) but its directory: the next one sweeps it.
"""

import fcntl
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import asyncpg
import pytest
from anyio.from_thread import start_blocking_portal
from redis.asyncio import Redis

from kefu.storage.database import DatabasePool, open_pool
from kefu.storage.embedded import Stores, open_embedded
from kefu.storage.places import SHARED
from kefu.storage.redis import open_redis
from tests.databases import Databases
from tests.until import until

__all__ = ["anyio_backend", "data_dir", "database", "databases", "pool", "redis", "stores"]

_PREFIX = "kefu-tests-"
SWEPT_AFTER_S = 600


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory under /tmp that anybody may pass through: pytest's own are long and closed, and
    would send the servers of a test under root to /var/lib/kefu. Removed at the end; until then the
    lock in it keeps it from being swept."""
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
    directory.chmod(0o755)
    try:
        with open(directory / "session.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory not yet made, for tests that start an embedded stack of their own.

    Whatever still serves it when the test ends is stopped by its guard once its kefus are gone.
    """
    with short_directory() as directory:
        yield directory / "data"


@pytest.fixture(scope="session")
def stores() -> Iterator[Stores]:
    """URLs of this session's own PostgreSQL and Valkey. Usable from tests without async, too."""
    _sweep()
    with short_directory() as directory, start_blocking_portal() as portal:
        opened = open_embedded(directory / "data", on_progress=lambda words: None)
        with portal.wrap_async_context_manager(opened) as stores:
            portal.call(set_fsync, stores, "off")
            yield stores


@pytest.fixture(scope="session")
def lasting_redis_url(stores: Stores) -> str:
    """Logical database 1, for servers that live through several tests: in 0 they would write, at
    any time, among what those tests look at."""
    return stores.redis_url.replace("db=0", "db=1")


@pytest.fixture(scope="session")
async def databases(stores: Stores) -> Databases:
    databases = Databases(stores)
    await databases.prepare()
    return databases


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[str]:
    """The URL of a database with the whole schema and no rows, this test's own."""
    async with databases.lent() as url:
        yield url


@pytest.fixture
async def pool(database: str) -> AsyncIterator[DatabasePool]:
    opened = await open_pool(database, min_size=1, max_size=10)
    try:
        yield opened
    finally:
        opened.terminate()


@pytest.fixture
async def redis(stores: Stores) -> AsyncIterator[Redis]:
    """A client of this session's Valkey, logical database 0, emptied for this test."""
    client = open_redis(stores.redis_url)
    await client.flushdb()
    try:
        yield client
    finally:
        await client.aclose()


async def set_fsync(stores: Stores, value: Literal["on", "off"]) -> None:
    """Off, because no test pulls the plug of this machine, and dropping a database waits for its
    files. Tests of what a start sets up, and of killing it, have servers of their own."""
    connection = await asyncpg.connect(stores.database_url)

    async def is_set() -> bool:
        return bool(await connection.fetchval("SHOW fsync") == value)

    try:
        await connection.execute(f"ALTER SYSTEM SET fsync = {value}")
        await connection.execute("SELECT pg_reload_conf()")
        await until(is_set)  # a reload is asked for, not waited for
    finally:
        await connection.close()


def _sweep() -> None:
    """Remove what killed sessions left: directories that are old and whose locks nobody holds."""
    for left in Path("/tmp").glob(f"{_PREFIX}*"):
        if is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    for home in SHARED.glob("data-*"):
        with suppress(OSError):  # its kefu is just making it
            of = Path((home / "data-directory").read_text().strip())
            if of.is_relative_to("/tmp") and not of.exists() and is_abandoned(home):
                shutil.rmtree(home, ignore_errors=True)


def is_abandoned(directory: Path) -> bool:
    try:
        if time.time() - directory.stat().st_mtime < SWEPT_AFTER_S:
            return False
        for path in (*directory.glob("*.lock"), *directory.glob("*/guard.lock")):
            with open(path) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or another session sweeps too
        return False
    return True
