"""Opens the stores a process works with: its own servers where addresses are given, else the
bundled ones under the data directory. Whichever it is, what comes out is the same two clients.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import anyio
from redis.asyncio import Redis

from kefu.secret import SecretUrl
from kefu.settings import Settings
from kefu.storage.database import DatabasePool, open_pool
from kefu.storage.embedded import open_embedded
from kefu.storage.redis import open_redis

CLOSE_LIMIT_S = 5.0


class Addresses(NamedTuple):
    """Where the stores are."""

    database_url: SecretUrl
    redis_url: SecretUrl


class Stores(NamedTuple):
    """PostgreSQL, which holds the truth, and Redis, which is fast and may forget."""

    pool: DatabasePool
    redis: Redis
    addresses: Addresses


@asynccontextmanager
async def open_addresses(
    settings: Settings, *, on_progress: Callable[[str], None]
) -> AsyncIterator[Addresses]:
    """The addresses of both stores; bundled servers run at least as long as this is open.

    Raises EmbeddedError when bundled servers cannot start.
    """
    if settings.database_url and settings.redis_url:
        yield Addresses(settings.database_url, settings.redis_url)
        return
    if settings.pg_bin is not None:  # wherever it was set, the servers' own process inherits it
        os.environ["KEFU_PG_BIN"] = str(settings.pg_bin)
    async with open_embedded(settings.data_dir, on_progress=on_progress) as bundled:
        yield Addresses(
            settings.database_url or SecretUrl(bundled.database_url),
            settings.redis_url or SecretUrl(bundled.redis_url),
        )


@asynccontextmanager
async def open_stores(
    settings: Settings, *, on_progress: Callable[[str], None]
) -> AsyncIterator[Stores]:
    """Both stores; closed again in the opposite order. Redis connects when it is first used.

    Raises EmbeddedError when bundled servers cannot start, StoreUnavailable when PostgreSQL
    cannot be reached.
    """
    async with (
        open_addresses(settings, on_progress=on_progress) as where,
        _pool(where, settings.database_pool_size) as pool,
        open_redis(where.redis_url.reveal(), max_connections=settings.redis_pool_size) as client,
    ):
        yield Stores(pool, client, where)


@asynccontextmanager
async def _pool(where: Addresses, size: int) -> AsyncIterator[DatabasePool]:
    pool = await open_pool(where.database_url.reveal(), min_size=min(size, 2), max_size=size)
    try:
        yield pool
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_LIMIT_S):
            await pool.close()
        pool.terminate()
