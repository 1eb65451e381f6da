"""kill -9 of anything, at any time: nothing stays running, nothing acknowledged is lost."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import anyio
import asyncpg
import pytest
from anyio.to_thread import run_sync

from kefu.storage.embedded import open_embedded
from tests.storage.kefu_process import (
    KefuProcess,
    all_gone,
    guard_of,
    is_alive,
    is_stopped,
    kill,
    postmaster_of,
    servers_of,
    until,
)


def silent(words: str) -> None:
    """Progress nobody asks about."""


def written_after_kill(data: Path, kefu: KefuProcess) -> tuple[set[int], set[int]]:
    """(acknowledged, found) row numbers, reading with a kefu started now."""
    acked = {message["acked"] for message in kefu.heard if "acked" in message}

    async def read() -> set[int]:
        async with open_embedded(data, on_progress=silent) as stores:
            connection = await asyncpg.connect(stores.database_url)
            rows = await connection.fetch("SELECT n FROM written")
            await connection.close()
            return {row["n"] for row in rows}

    return acked, anyio.run(read)


def writing_kefu(data: Path) -> KefuProcess:
    kefu = KefuProcess(data, "write")
    for _ in range(50):
        kefu.hear("acked")
    return kefu


def test_killing_kefu_ends_everything_and_loses_nothing(made: Path) -> None:
    with writing_kefu(made) as kefu:
        kefu.kill()
        assert until(lambda: all_gone(made), within_s=5) < 5
        acked, found = written_after_kill(made, kefu)
    assert len(acked) >= 50
    assert acked <= found


def test_killing_the_guard_ends_the_servers_and_the_next_start_works(made: Path) -> None:
    with writing_kefu(made) as kefu:
        os.kill(guard_of(made), signal.SIGSTOP)  # so that kefu cannot be told, then both at once
        kefu.kill()
        kill(guard_of(made))
        assert until(lambda: not servers_of(made), within_s=5) < 5
        acked, found = written_after_kill(made, kefu)
    assert acked <= found


@pytest.mark.timeout(120)
def test_killing_everything_at_once_loses_nothing(made: Path) -> None:
    with writing_kefu(made) as kefu:
        everything = (guard_of(made), *servers_of(made))
        kill(*everything)
        kefu.kill()
        acked, found = written_after_kill(made, kefu)
    assert acked <= found


@pytest.mark.parametrize("victim", ["guard", "postgres", "valkey"])
async def test_a_running_kefu_gets_its_servers_back_at_the_same_place(
    made: Path, victim: str
) -> None:
    async with open_embedded(made, on_progress=silent) as stores:
        guard = guard_of(made)
        kill({"guard": guard_of, "postgres": postmaster_of, "valkey": valkey_of}[victim](made))

        def came_back() -> bool:
            return guard_of(made) not in (0, guard) and bool(servers_of(made))

        await run_sync(lambda: until(came_back, within_s=20))
        async with open_embedded(made, on_progress=silent) as again:
            assert again == stores
            connection = await asyncpg.connect(stores.database_url)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()
    assert is_stopped(made)


def valkey_of(data: Path) -> int:
    return next(
        pid for pid in servers_of(data) if b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


@pytest.mark.parametrize(
    "seen",
    [
        "postgres.draft-*",
        "postgres.draft-*/PG_VERSION",
        "postgres.draft-*/base/5",
        "postgres/PG_VERSION",
        "postgres/postmaster.pid",
        "run/db/valkey.sock",
    ],
)
def test_a_first_start_killed_half_way_is_made_good_by_the_next(data: Path, seen: str) -> None:
    with KefuProcess(data) as first:
        until(lambda: bool(list(data.glob(seen))), within_s=20)
        kill(guard_of(data))
        first.kill()
    with KefuProcess(data) as second:
        second.hear("ready")
        second.leave()
    assert is_stopped(data)
    assert not list(data.glob("postgres.draft-*"))


def test_kefu_killed_during_the_first_start_leaves_nothing_running(data: Path) -> None:
    with KefuProcess(data):
        until(lambda: bool(list(data.glob("postgres.draft-*"))), within_s=20)
    until(lambda: all_gone(data), within_s=10)


@pytest.mark.parametrize("pid_of", ["a zombie", "a stranger", "nobody"])
def test_a_pid_file_left_behind_does_not_stop_the_start(made: Path, pid_of: str) -> None:
    with KefuProcess(made) as kefu:
        kefu.hear("ready")
        pid_file = made / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        kefu.leave()
    # Of the servers' own user: PostgreSQL knows that nobody else's process can be its own.
    user = pid_file.parent.stat().st_uid
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=user) as stranger,
        subprocess.Popen(["true"], user=user) as zombie,
    ):
        until(lambda: not is_alive(zombie.pid), within_s=5)  # it stays one until it is waited for
        pids = {"a zombie": zombie.pid, "a stranger": stranger.pid, "nobody": 2**22}
        pid_file.write_text("\n".join([str(pids[pid_of]), *lines[1:]]) + "\n")
        with KefuProcess(made) as kefu:
            kefu.hear("ready")
            kefu.leave()
        assert stranger.poll() is None


def test_sockets_left_behind_do_not_stop_the_start(made: Path) -> None:
    (made / "run" / "db").mkdir(parents=True)
    for name in ("guard.sock", "db/.s.PGSQL.5432", "db/valkey.sock"):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(made / "run" / name))
    with KefuProcess(made) as kefu:
        kefu.hear("ready")
        kefu.leave()


def test_a_kefu_that_starts_while_the_servers_stop_waits_for_them(made: Path) -> None:
    with KefuProcess(made) as first:
        first.hear("ready")
        postmaster = postmaster_of(made)
        os.kill(postmaster, signal.SIGSTOP)  # now it cannot stop
        first.kill()
        with KefuProcess(made) as second:
            until(lambda: not (made / "run" / "guard.sock").exists(), within_s=5)
            os.kill(postmaster, signal.SIGCONT)
            second.hear("ready")
            assert postmaster_of(made) != postmaster
