"""Numbered migrations: forward only, once each, whoever applies them and however often."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.lowlevel
import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kefu.storage.embedded import Stores
from kefu.storage.errors import MigrationError
from kefu.storage.migrate import MigrationStatus, status, upgrade

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write(tmp_path, "0001_first.sql", "CREATE TABLE first (n int); INSERT INTO first VALUES (1);")
    write(tmp_path, "0002_second.sql", "CREATE TABLE second (n int);")
    return tmp_path


@pytest.fixture
async def connections(stores: Stores) -> AsyncIterator[list[Connection]]:
    """Four connections to one empty database."""
    owner = await asyncpg.connect(stores.database_url)
    await owner.execute("DROP DATABASE IF EXISTS migrated WITH (FORCE)")
    await owner.execute("CREATE DATABASE migrated")
    url = stores.database_url.replace("/kefu?", "/migrated?")
    opened = [await asyncpg.connect(url) for _ in range(4)]
    yield opened
    for connection in opened:
        connection.terminate()
    await owner.execute("DROP DATABASE migrated WITH (FORCE)")
    await owner.close()


@pytest.fixture
def connection(connections: list[Connection]) -> Connection:
    return connections[0]


def write(directory: Path, name: str, sql: str) -> None:
    (directory / name).write_text(sql)


def silent(words: str) -> None:
    """Progress nobody asks about."""


async def test_pending_steps_are_applied_once_and_in_order(
    connection: Connection, files: Path
) -> None:
    told: list[str] = []
    applied = await upgrade(connection, on_progress=told.append, directory=files)
    assert applied == ["0001_first", "0002_second"]
    assert told == [f"Updating the database: {name}" for name in applied]
    assert await upgrade(connection, on_progress=silent, directory=files) == []
    assert await connection.fetchval("SELECT count(*) FROM first") == 1


async def test_status_tells_applied_from_pending_and_changes_nothing(
    connection: Connection, files: Path
) -> None:
    assert await status(connection, directory=files) == [
        MigrationStatus(1, "0001_first", None),
        MigrationStatus(2, "0002_second", None),
    ]
    assert await connection.fetchval("SELECT to_regclass('schema_migrations')") is None
    await upgrade(connection, on_progress=silent, directory=files)
    write(files, "0003_third.sql", "SELECT 1")
    states = await status(connection, directory=files)
    assert [each.applied_at is not None for each in states] == [True, True, False]


async def test_two_upgrades_at_once_share_the_work(
    connections: list[Connection], files: Path
) -> None:
    for number in range(3, 12):
        write(files, f"{number:04}_more.sql", f"CREATE TABLE more_{number} ()")
    done: list[list[str]] = []

    async def run(connection: Connection) -> None:
        done.append(await upgrade(connection, on_progress=silent, directory=files))

    async with anyio.create_task_group() as tasks:
        for connection in connections:
            tasks.start_soon(run, connection)
    assert len(done) == len(connections)
    names = await connections[0].fetch("SELECT name FROM schema_migrations ORDER BY version")
    assert sorted(name for names in done for name in names) == [row["name"] for row in names]
    assert len(names) == 11


async def test_an_upgrade_waits_for_one_that_is_running(
    connections: list[Connection], files: Path
) -> None:
    first, second, watcher, _ = connections
    await watcher.execute("SELECT pg_advisory_lock(1)")
    write(files, "0003_held.sql", "SELECT pg_advisory_xact_lock(1); CREATE TABLE held ()")
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    results: dict[str, list[str]] = {}

    async def run(name: str, connection: Connection) -> None:
        results[name] = await upgrade(connection, on_progress=silent, directory=files)

    async def wait_for(count: int) -> None:
        with anyio.fail_after(10):
            while await watcher.fetchval(waiting) != count:
                await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "first", first)
        await wait_for(1)
        tasks.start_soon(run, "second", second)
        await wait_for(2)
        assert results == {}
        await watcher.execute("SELECT pg_advisory_unlock(1)")
    assert results == {"first": ["0001_first", "0002_second", "0003_held"], "second": []}


async def test_a_failing_step_leaves_nothing_and_the_steps_before_it_stay(
    connection: Connection, files: Path
) -> None:
    write(files, "0003_broken.sql", "CREATE TABLE third (); SELECT no_such_column")
    with pytest.raises(MigrationError, match=r"0003_broken failed: .*no_such_column"):
        await upgrade(connection, on_progress=silent, directory=files)
    assert await connection.fetchval("SELECT to_regclass('third')") is None
    assert await connection.fetchval("SELECT max(version) FROM schema_migrations") == 2
    write(files, "0003_broken.sql", "CREATE TABLE third ()")
    assert await upgrade(connection, on_progress=silent, directory=files) == ["0003_broken"]


async def test_a_changed_file_is_refused(connection: Connection, files: Path) -> None:
    await upgrade(connection, on_progress=silent, directory=files)
    write(files, "0001_first.sql", "CREATE TABLE first (n bigint)")
    for ask in (
        upgrade(connection, on_progress=silent, directory=files),
        status(connection, directory=files),
    ):
        with pytest.raises(MigrationError, match="0001_first is not the file that was applied"):
            await ask


async def test_other_line_ends_are_not_a_change(connection: Connection, files: Path) -> None:
    write(files, "0003_lines.sql", "SELECT 1;\nSELECT 2;\n")
    await upgrade(connection, on_progress=silent, directory=files)
    (files / "0003_lines.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")
    assert await upgrade(connection, on_progress=silent, directory=files) == []


async def test_a_database_newer_than_the_program_is_refused(
    connection: Connection, files: Path
) -> None:
    await upgrade(connection, on_progress=silent, directory=files)
    (files / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match=r"newer than this program: it has 0002_second"):
        await upgrade(connection, on_progress=silent, directory=files)


async def test_a_step_missing_from_the_database_is_refused(
    connection: Connection, files: Path
) -> None:
    await upgrade(connection, on_progress=silent, directory=files)
    await connection.execute("DELETE FROM schema_migrations WHERE version = 1")
    with pytest.raises(MigrationError, match="lacks 0001_first"):
        await upgrade(connection, on_progress=silent, directory=files)


@pytest.mark.parametrize("name", ["3_short.sql", "0003.sql", "0003_Big.sql", "0003-dash.sql"])
async def test_a_misnamed_file_is_refused(connection: Connection, files: Path, name: str) -> None:
    write(files, name, "SELECT 1")
    with pytest.raises(MigrationError, match="is not named like"):
        await upgrade(connection, on_progress=silent, directory=files)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(numbers=st.lists(st.integers(0, 12), min_size=1, max_size=8))
async def test_files_count_without_a_gap_or_are_refused(
    connection: Connection, tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("numbered")
    for place, number in enumerate(numbers):
        write(directory, f"{number:04}_step_{place}.sql", "SELECT 1")
    if sorted(numbers) == list(range(1, len(numbers) + 1)):
        assert len(await status(connection, directory=directory)) == len(numbers)
    else:
        with pytest.raises(MigrationError, match="missing or there twice"):
            await status(connection, directory=directory)


async def test_kefus_own_migrations_apply_to_an_empty_database(connection: Connection) -> None:
    applied = await upgrade(connection, on_progress=silent)
    assert all(each.applied_at for each in await status(connection))
    assert applied == [each.name for each in await status(connection)]
