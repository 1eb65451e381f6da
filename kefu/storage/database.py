"""The pool of PostgreSQL connections, and one typed answer for everything that can go wrong.

Statements end after 30 s on the server, and a transaction whose owner says nothing for 5 s: asleep
or out of reach, it would keep what it has locked from everybody else. Take connections through
`connected` or `transaction`: they turn asyncpg's many errors for "not now" into StoreUnavailable
and let the program's own bugs pass.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import anyio
import asyncpg
import msgspec
from asyncpg.pool import Pool, PoolConnectionProxy

from kefu.storage.errors import StoreUnavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
DatabasePool: TypeAlias = "Pool[asyncpg.Record]"

STATEMENT_LIMIT_S = 30
SILENCE_LIMIT_S = 5
CONNECT_LIMIT_S = 5.0
COMMIT_LIMIT_S = 10.0
ROLLBACK_LIMIT_S = 2.0
_JSONB_VERSION = b"\x01"
_GONE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says when a farewell crosses a question
)
# "connection is closed", "pool is closing", and what a proxy says once its backend has died.
_LOST = ("closed", "closing", "released back to the pool")


async def open_pool(url: str, *, min_size: int = 4, max_size: int = 20) -> DatabasePool:
    """Connect. The caller closes the pool. jsonb and json are Python values, timestamptz is UTC.

    :raises StoreUnavailable: PostgreSQL does not answer, or refuses more connections.
    """
    with translated():
        pool: DatabasePool = await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            timeout=CONNECT_LIMIT_S,
            command_timeout=STATEMENT_LIMIT_S + 5,
            init=set_codecs,
            reset=_keep,
            server_settings={
                "application_name": "kefu",
                "statement_timeout": str(STATEMENT_LIMIT_S * 1000),
                "idle_in_transaction_session_timeout": str(SILENCE_LIMIT_S * 1000),
                "timezone": "UTC",
            },
        )
    return pool


async def _keep(_connection: Connection) -> None:
    """kefu changes nothing of a connection's session: no SET, LISTEN or lock outlives its
    transaction. asyncpg's own reset would be a second round trip for every statement."""


async def set_codecs(connection: Connection) -> None:
    """Let `connection` speak json and jsonb as Python values; for connections outside the pool."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_to_jsonb, decoder=_from_jsonb
    )
    await connection.set_type_codec(
        "json",
        schema="pg_catalog",
        format="binary",
        encoder=msgspec.json.encode,
        decoder=msgspec.json.decode,
    )


@asynccontextmanager
async def connected(
    pool: DatabasePool, *, timeout_s: float = CONNECT_LIMIT_S
) -> AsyncIterator[Connection]:
    """A connection of the pool, waited for at most `timeout_s` seconds.

    :raises StoreUnavailable: none came free, or PostgreSQL failed inside the block.
    """
    with translated():
        async with pool.acquire(timeout=timeout_s) as connection:
            yield connection


@asynccontextmanager
async def transaction(
    pool: DatabasePool, *, timeout_s: float = CONNECT_LIMIT_S
) -> AsyncIterator[Connection]:
    """`connected`, with everything in the block committed together or not at all.

    :raises StoreUnavailable: as `connected`; after a failed commit the outcome is unknown.
    """
    async with connected(pool, timeout_s=timeout_s) as connection, in_transaction(connection):
        yield connection


@asynccontextmanager
async def in_transaction(connection: Connection, **options: Any) -> AsyncIterator[None]:
    """`connection.transaction(**options)`, begun and ended whole also where somebody cancels: anyio
    would break off its BEGIN, COMMIT or ROLLBACK, and asyncpg complain of what it finds then.

    :raises TimeoutError: PostgreSQL does not begin or commit in time.
    """
    block = connection.transaction(**options)
    with anyio.fail_after(COMMIT_LIMIT_S, shield=True):
        await block.__aenter__()
    try:
        yield
    except BaseException as error:
        with anyio.move_on_after(ROLLBACK_LIMIT_S, shield=True):
            await block.__aexit__(type(error), error, error.__traceback__)
        raise
    with anyio.fail_after(COMMIT_LIMIT_S, shield=True):
        await block.__aexit__(None, None, None)


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreUnavailable for whatever means that PostgreSQL cannot do it now.

    :raises StoreUnavailable: unreachable, full, slow or read-only; all else passes unchanged.
    """
    try:
        yield
    except Exception as error:
        failure = _failure(error)
        if failure is None:
            raise
        raise failure from error


def _failure(error: Exception) -> StoreUnavailable | None:
    match error:
        case TimeoutError() | asyncpg.QueryCanceledError():  # a TimeoutError is an OSError, too
            return StoreUnavailable("The database took too long to answer.", "slow")
        case asyncpg.DiskFullError():
            return StoreUnavailable("The database's disk is full. Free some space.", "full")
        case asyncpg.InsufficientResourcesError():
            return StoreUnavailable("The database is out of memory or connections.", "full")
        case asyncpg.ReadOnlySQLTransactionError():
            return StoreUnavailable("The database is read-only.", "read_only")
        case asyncpg.InterfaceError() if not any(word in str(error) for word in _LOST):
            return None  # a use of asyncpg it does not allow: our own bug
        case _ if isinstance(error, _GONE):
            return StoreUnavailable("The database cannot be reached.")
        case _:
            return None


def _to_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + msgspec.json.encode(value)


def _from_jsonb(data: bytes) -> Any:
    return msgspec.json.decode(memoryview(data)[1:])
