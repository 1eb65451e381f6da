"""The pool's settings, and that every way PostgreSQL can fail becomes one typed answer."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import anyio
import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kefu.storage.database import DatabasePool, connected, open_pool, transaction, translated
from kefu.storage.embedded import Stores
from kefu.storage.errors import StoreUnavailable
from tests.storage.conftest import needs_root
from tests.until import until

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text().filter(lambda t: "\0" not in t),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab客", min_size=1), inner),
    max_leaves=8,
)


async def test_a_connection_is_set_up_for_kefu(pool: DatabasePool) -> None:
    async with connected(pool) as connection:
        expected = {
            "application_name": "kefu",
            "statement_timeout": "30s",
            "idle_in_transaction_session_timeout": "5s",
            "TimeZone": "UTC",
        }
        for name, setting in expected.items():
            assert await connection.fetchval(f"SHOW {name}") == setting


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=JSON)
async def test_json_comes_back_as_it_went(pool: DatabasePool, value: object) -> None:
    async with connected(pool) as connection:
        for kind in ("json", "jsonb"):
            assert await connection.fetchval(f"SELECT $1::{kind}", value) == value


async def test_times_are_utc_and_ids_are_uuids(pool: DatabasePool) -> None:
    now, name = datetime.now(UTC), uuid4()
    async with connected(pool) as connection:
        row = await connection.fetchrow("SELECT $1::timestamptz, $2::uuid", now, name)
    assert row is not None
    assert row[0] == now
    assert row[0].tzinfo is UTC
    assert row[1] == name


async def test_an_error_takes_the_whole_transaction_back(pool: DatabasePool) -> None:
    await pool.execute("CREATE TABLE kept (n integer)")

    async def insert_and_fail() -> None:
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            raise KeyError

    with pytest.raises(KeyError):
        await insert_and_fail()
    async with transaction(pool) as connection:
        await connection.execute("INSERT INTO kept VALUES (2)")
    assert await pool.fetchval("SELECT array_agg(n) FROM kept") == [2]


SLOW_TO_COMMIT = """
CREATE TABLE kept (n integer);
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
    PERFORM pg_sleep(0.3); RETURN NULL;
END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION dawdle()
"""


@pytest.mark.parametrize(("statement", "kept"), [("SELECT pg_sleep(10)", 0), (None, 1)])
async def test_a_cancelled_transaction_ends_whole_and_without_a_complaint(
    pool: DatabasePool, statement: str | None, kept: int
) -> None:
    """As those of a server's parts do when it stops: in a statement, in the commit."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: complaints.append(told))
    await pool.execute(SLOW_TO_COMMIT)
    async with anyio.create_task_group() as tasks:
        is_inserted = anyio.Event()

        async def insert() -> None:
            async with transaction(pool) as connection:
                await connection.execute("INSERT INTO kept VALUES (1)")
                is_inserted.set()
                if statement is not None:
                    await connection.execute(statement)

        tasks.start_soon(insert)
        await is_inserted.wait()
        tasks.cancel_scope.cancel()
    assert complaints == []
    assert await pool.fetchval("SELECT count(*) FROM kept") == kept


async def test_bugs_pass_unchanged(pool: DatabasePool) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        async with connected(pool) as connection:
            await connection.execute("SELECT * FROM no_such_table")
    with pytest.raises(asyncpg.InterfaceError, match="another operation"), translated():
        raise asyncpg.InterfaceError("another operation is in progress")


@pytest.mark.parametrize(
    "loss",
    [
        asyncpg.InterfaceError("cannot perform operation: connection is closed"),
        asyncpg.InterfaceError("pool is closing"),
        asyncpg.InterfaceError("connection has been released back to the pool"),
        asyncpg.InternalClientError("cannot switch to state 15"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.IdleInTransactionSessionTimeoutError("terminating connection"),
        ConnectionResetError(),
        FileNotFoundError(),
    ],
)
def test_every_way_to_lose_a_connection_is_unreachable(loss: Exception) -> None:
    with pytest.raises(StoreUnavailable) as caught, translated():
        raise loss
    assert caught.value.reason == "unreachable"


async def test_no_server_is_unreachable(place: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await open_pool(f"postgresql://kefu@/kefu?host={place}")
    assert caught.value.reason == "unreachable"


async def test_a_backend_that_dies_is_unreachable_and_the_pool_recovers(
    pool: DatabasePool, database: str
) -> None:
    other = await asyncpg.connect(database)

    async def ask_a_killed_backend() -> None:
        async with connected(pool) as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await other.execute("SELECT pg_terminate_backend($1)", pid)
            await connection.execute("SELECT pg_sleep(5)")

    with pytest.raises(StoreUnavailable) as caught:
        await ask_a_killed_backend()
    assert caught.value.reason == "unreachable"
    await other.close()
    async with connected(pool) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_statement_beyond_its_limit_is_slow(pool: DatabasePool) -> None:
    limited = "SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(20)"
    with pytest.raises(StoreUnavailable) as caught:
        async with transaction(pool) as connection:
            await connection.execute(limited)
    assert caught.value.reason == "slow"


async def test_who_is_silent_in_a_transaction_loses_it_and_the_pool_recovers(
    pool: DatabasePool,
) -> None:
    await pool.execute("CREATE TABLE kept (n integer)")

    async def fall_silent() -> None:
        async with transaction(pool) as connection:
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '50ms'")
            await connection.execute("INSERT INTO kept VALUES (1)")
            await until(connection.is_closed)
            await connection.execute("INSERT INTO kept VALUES (2)")

    with pytest.raises(StoreUnavailable) as caught:
        await fall_silent()
    assert caught.value.reason == "unreachable"
    assert await pool.fetchval("SELECT count(*) FROM kept") == 0


async def test_an_exhausted_pool_is_slow(database: str) -> None:
    pool = await open_pool(database, min_size=1, max_size=1)
    async with connected(pool):
        with pytest.raises(StoreUnavailable) as caught:
            async with connected(pool, timeout_s=0.05):
                pass
    assert caught.value.reason == "slow"
    await pool.close()


async def test_a_closed_pool_is_unreachable(database: str) -> None:
    pool = await open_pool(database, min_size=1, max_size=1)
    await pool.close()
    with pytest.raises(StoreUnavailable):
        async with connected(pool):
            pass


async def test_a_read_only_database_says_so(pool: DatabasePool) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        async with transaction(pool) as connection:
            await connection.execute("SET LOCAL transaction_read_only = on; CREATE TABLE no ()")
    assert caught.value.reason == "read_only"


@pytest.fixture
def small_disk(place: Path, stores: Stores) -> Iterator[Path]:
    """An 8 MB file system that belongs to the database server."""
    disk = place / "disk"
    disk.mkdir()
    server = Path(stores.database_url.partition("host=")[2]).stat()
    owner = f"uid={server.st_uid},gid={server.st_gid}"
    mount = ["mount", "-t", "tmpfs", "-o", f"size=8m,mode=700,{owner}", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@needs_root
async def test_a_full_disk_is_typed_and_what_was_written_stays(
    pool: DatabasePool, small_disk: Path
) -> None:
    space = f"small_{uuid4().hex}"
    await pool.execute(f"CREATE TABLESPACE {space} LOCATION '{small_disk}'")
    await pool.execute(f"CREATE TABLE filling (words text) TABLESPACE {space}")
    kept = 0

    async def fill() -> None:
        nonlocal kept
        while True:
            async with connected(pool) as connection:
                await connection.execute(
                    "INSERT INTO filling SELECT md5(n::text) FROM generate_series(1, 10000) n"
                )
            kept += 10_000

    with pytest.raises(StoreUnavailable) as caught:
        await fill()
    assert caught.value.reason == "full"
    assert kept > 0
    assert await pool.fetchval("SELECT count(*) FROM filling") == kept
    await pool.execute("DROP TABLE filling")
    await pool.execute(f"DROP TABLESPACE {space}")
