"""The embedded servers as their users see them: start, share, leave, come back."""

import os
import signal
from pathlib import Path

import anyio
import asyncpg
import pytest

from kefu.storage.embedded import EmbeddedError, Stores, open_embedded
from kefu.storage.redis import open_redis
from tests.storage.kefu_process import (
    KefuProcess,
    all_gone,
    environment_of,
    guard_of,
    is_stopped,
    memory_kb_of,
    postmaster_of,
    servers_of,
    until,
)

SYSTEM_POSTGRES = Path("/usr/lib/postgresql/15/bin")


async def ask(stores: Stores, sql: str) -> object:
    connection = await asyncpg.connect(stores.database_url, timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def remember(stores: Stores, word: str) -> None:
    await ask(stores, f"CREATE TABLE kept AS SELECT '{word}'::text AS word")
    client = open_redis(stores.redis_url)
    await client.set("kept", word)
    await client.aclose()


async def recall(stores: Stores) -> tuple[object, object]:
    client = open_redis(stores.redis_url)
    try:
        return await ask(stores, "SELECT word FROM kept"), await client.get("kept")
    finally:
        await client.aclose()


def silent(words: str) -> None:
    """Progress nobody asks about."""


async def test_what_is_written_survives_a_restart(data: Path) -> None:
    async with open_embedded(data, on_progress=silent) as stores:
        await remember(stores, "记住")
    assert is_stopped(data)
    async with open_embedded(data, on_progress=silent) as again:
        assert again == stores
        assert await recall(again) == ("记住", "记住".encode())


async def test_the_first_start_tells_what_it_does(data: Path) -> None:
    first: list[str] = []
    second: list[str] = []
    async with open_embedded(data, on_progress=first.append):
        pass
    async with open_embedded(data, on_progress=second.append):
        pass
    assert first == ["Making the database (first start only)", "Starting PostgreSQL and Valkey"]
    assert second == ["Starting PostgreSQL and Valkey"]


async def test_a_second_kefu_joins_at_once_and_the_last_one_out_stops_the_servers(
    made: Path,
) -> None:
    async with open_embedded(made, on_progress=silent) as stores:
        other = KefuProcess(made)
        with other:
            assert (await anyio.to_thread.run_sync(other.hear, "ready")) == {
                "database_url": stores.database_url,
                "redis_url": stores.redis_url,
            }
            begun = anyio.current_time()
            async with open_embedded(made, on_progress=silent):
                assert anyio.current_time() - begun < 0.5  # milliseconds; the machine may be busy
            begun = anyio.current_time()
        assert await ask(stores, "SELECT 1") == 1
    assert is_stopped(made)


async def test_the_first_kefu_may_leave_before_the_second(made: Path) -> None:
    with KefuProcess(made) as first:
        await anyio.to_thread.run_sync(first.hear, "ready")
        async with open_embedded(made, on_progress=silent) as stores:
            await anyio.to_thread.run_sync(first.leave)
            assert await ask(stores, "SELECT 1") == 1
    assert is_stopped(made)


def test_kefus_started_at_the_same_instant_share_one_pair(data: Path) -> None:
    kefus = [KefuProcess(data) for _ in range(4)]
    try:
        assert len({kefu.hear("ready")["database_url"] for kefu in kefus}) == 1
        titles = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in servers_of(data)]
        assert len([title for title in titles if b"checkpointer" in title]) == 1
        assert len([title for title in titles if b"valkey" in title]) == 1
    finally:
        for kefu in kefus:
            kefu.leave()
    assert is_stopped(data)


async def test_joining_while_the_last_one_leaves_gets_servers_that_answer(made: Path) -> None:
    async def visit(pause_s: float) -> None:
        for _ in range(4):
            async with open_embedded(made, on_progress=silent) as stores:
                assert await ask(stores, "SELECT 1") == 1
            await anyio.sleep(pause_s)

    async with anyio.create_task_group() as visitors:
        for pause_s in (0.0, 0.01, 0.03):
            visitors.start_soon(visit, pause_s)
    assert is_stopped(made)


@pytest.mark.parametrize("name", ["long-" * 30, "客服 with spaces, 'quotes' and \"more\""])
async def test_any_directory_name_will_do(place: Path, name: str) -> None:
    data = place / name
    async with open_embedded(data, on_progress=silent) as stores:
        await remember(stores, "here")
        assert await recall(stores) == ("here", b"here")
        run = Path(stores.database_url.partition("host=")[2]).parent
    assert is_stopped(data)
    assert (data / "postgres" / "PG_VERSION").exists()
    assert not run.exists()


async def test_a_relative_directory_is_meant_from_where_kefu_was_started(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    async with open_embedded(Path("here"), on_progress=silent) as stores:
        assert str(place / "here") in stores.database_url


async def test_a_name_with_control_characters_is_refused(place: Path) -> None:
    with pytest.raises(EmbeddedError, match="control characters"):
        async with open_embedded(place / "a\nb", on_progress=silent):
            pass


async def test_the_servers_are_set_up_for_a_chat_that_loses_nothing(made: Path) -> None:
    async with open_embedded(made, on_progress=silent) as stores:
        expected = {
            "synchronous_commit": "on",
            "fsync": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "max_connections": "200",
            "jit": "off",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "listen_addresses": "",
        }
        for name, setting in expected.items():
            assert await ask(stores, f"SHOW {name}") == setting, name
        ctype = "SELECT datctype FROM pg_database WHERE datname = 'kefu'"
        assert await ask(stores, ctype) == "C.UTF-8"
        assert await ask(stores, "SELECT '客服' ~ '^[[:alpha:]]+$'")
        client = open_redis(stores.redis_url)
        settings = await client.config_get("*")
        await client.aclose()
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["port"] == "0"


async def test_what_people_wrote_is_in_no_log_file(made: Path) -> None:
    async with open_embedded(made, on_progress=silent) as stores:
        await ask(stores, "CREATE TABLE said (words text PRIMARY KEY CHECK (words <> 'geheim1'))")
        await ask(stores, "INSERT INTO said VALUES ('geheim2')")
        for failing in (
            "INSERT INTO said VALUES ('geheim1')",
            "INSERT INTO said VALUES ('geheim2')",
            "SELECT 'geheim3'::integer",
            "SELECT geheim4",
        ):
            with pytest.raises(asyncpg.PostgresError):
                await ask(stores, failing)
    logs = b"".join(path.read_bytes() for path in (made / "logs").iterdir())
    assert b"shut down" in logs
    assert b"geheim" not in logs


async def test_the_guard_is_small_and_knows_none_of_our_secrets(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEFU_JWT_SECRET", "canary")
    async with open_embedded(made, on_progress=silent):
        for pid in (guard_of(made), *servers_of(made)):
            assert b"canary" not in environment_of(pid)
        assert memory_kb_of(guard_of(made)) < 20_000


async def test_a_signal_from_the_terminal_does_not_reach_the_servers(made: Path) -> None:
    async with open_embedded(made, on_progress=silent) as stores:
        assert os.getsid(guard_of(made)) != os.getsid(0)
        for ending in (signal.SIGINT, signal.SIGHUP):
            os.kill(guard_of(made), ending)
        postmaster = postmaster_of(made)
        assert await ask(stores, "SELECT 1") == 1
        assert postmaster_of(made) == postmaster


async def test_an_error_of_the_caller_passes_unchanged_and_stops_the_servers(made: Path) -> None:
    with pytest.raises(KeyError):
        async with open_embedded(made, on_progress=silent):
            raise KeyError
    assert is_stopped(made)


async def test_being_cancelled_stops_the_servers(made: Path) -> None:
    with anyio.CancelScope() as scope:
        async with open_embedded(made, on_progress=silent):
            scope.cancel()
            await anyio.sleep_forever()
    assert is_stopped(made)


async def test_data_of_another_major_version_is_named_in_the_error(made: Path) -> None:
    async with open_embedded(made, on_progress=silent):
        pass
    (made / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 12.*KEFU_PG_BIN"):
        async with open_embedded(made, on_progress=silent):
            pass


async def test_a_server_that_does_not_start_shows_the_end_of_its_own_log(made: Path) -> None:
    async with open_embedded(made, on_progress=silent):
        pass
    spoil_settings(made)
    with pytest.raises(EmbeddedError, match=r"postgres\.log(.|\n)*no_such_setting"):
        async with open_embedded(made, on_progress=silent):
            pass
    until(lambda: all_gone(made), within_s=5)


def spoil_settings(data: Path) -> None:
    with open(data / "postgres" / "postgresql.conf", "a") as settings:
        settings.write("no_such_setting = 1\n")


async def test_a_guard_that_cannot_even_start_shows_what_python_said(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = broken_python(place, "ModuleNotFoundError: No module named 'kefu'")
    monkeypatch.setattr("sys.executable", str(broken))
    with pytest.raises(EmbeddedError, match="No module named 'kefu'"):
        async with open_embedded(place / "data", on_progress=silent):
            pass


def broken_python(place: Path, complaint: str) -> Path:
    script = place / "python"
    script.write_text(f'#!/bin/sh\necho "{complaint}" >&2\nexit 1\n')
    script.chmod(0o755)
    return script


async def test_a_log_beyond_its_limit_is_emptied_at_the_next_start(data: Path) -> None:
    log = overgrown_log(data)
    async with open_embedded(data, on_progress=silent):
        pass
    assert 0 < log.stat().st_size < 100_000


def overgrown_log(data: Path) -> Path:
    log = data / "logs" / "postgres.log"
    log.parent.mkdir(parents=True)
    with open(log, "wb") as file:
        file.truncate(10_000_001)
    return log


@pytest.mark.skipif(not SYSTEM_POSTGRES.exists(), reason="no PostgreSQL 15 is installed")
async def test_another_postgresql_may_be_chosen(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEFU_PG_BIN", str(SYSTEM_POSTGRES))
    async with open_embedded(data, on_progress=silent) as stores:
        assert str(await ask(stores, "SHOW server_version")).startswith("15.")
