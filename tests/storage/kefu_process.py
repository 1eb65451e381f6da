"""A process that opens the embedded servers as kefu does, for killing.

`python -m tests.storage.kefu_process DATA [write]` prints JSON lines: {"progress"}, {"ready"},
{"failed"} and, with `write`, {"acked": n} for each committed row. It leaves when its input closes.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.to_thread
import asyncpg

from kefu.storage import processes
from kefu.storage.embedded import EmbeddedError, open_embedded
from kefu.storage.places import Places, home_of

ROOT = Path(__file__).parents[2]


class KefuProcess:
    """The process above, seen from a test. As a context it is killed at the end."""

    def __init__(
        self,
        data: Path,
        *mode: str,
        python: Sequence[str | Path] = (sys.executable,),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.heard: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [*python, "-m", "tests.storage.kefu_process", str(data), *mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def hear(self, word: str) -> Any:
        """Read on until the process says `word`; what it said. Its death is a failed test."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            self.heard.append(message)
            if word in message:
                return message[word]
            assert "failed" not in message, message["failed"]
        raise AssertionError(f"it ended without {word!r}; it said {self.heard}")

    def kill(self) -> None:
        """kill -9, and read what it still managed to say."""
        self._process.kill()
        if self._process.stdout is not None and not self._process.stdout.closed:
            rest = self._process.stdout.read().splitlines(keepends=True)
            self.heard += [json.loads(line) for line in rest if line.endswith(b"\n")]
        self._end()

    def leave(self) -> None:
        """Let it close the servers and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._end()

    def _end(self) -> None:
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def servers_of(data: Path) -> list[int]:
    """Process ids of the PostgreSQL and Valkey processes that serve `data`."""
    home = home_of(data)
    return processes.living(Places(data, home, home / "run", None).mark)


def guard_of(data: Path) -> int:
    """The guard's process id; 0 while a new one is just taking the lock."""
    return int((home_of(data) / "guard.lock").read_text() or 0)


def postmaster_of(data: Path) -> int:
    return int((home_of(data) / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def all_gone(data: Path) -> bool:
    """Whether neither servers nor guard of `data` are left."""
    return not servers_of(data) and not is_alive(guard_of(data))


def is_stopped(data: Path) -> bool:
    """Whether the servers are gone by now, and the guard, which ends after them, within 2 s."""
    if servers_of(data):
        return False
    until(lambda: all_gone(data), within_s=2)
    return True


def memory_kb_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def kill(*pids: int) -> None:
    processes.end(list(pids), signal.SIGKILL)


def until(condition: Callable[[], bool], *, within_s: float) -> float:
    """Poll until `condition` holds and return the seconds it took; a failed test if it does not."""
    begun = time.monotonic()
    assert processes.wait_until(condition, within_s=within_s, every_s=0.01), "it did not happen"
    return time.monotonic() - begun


def _say(**words: object) -> None:
    print(json.dumps(words), flush=True)  # noqa: T201 - printing is what this program is for


async def _main(data: Path, mode: str) -> None:
    try:
        async with open_embedded(data, on_progress=lambda words: _say(progress=words)) as stores:
            _say(ready=asdict(stores))
            if mode == "write":
                await _write_rows(stores.database_url)
            await anyio.to_thread.run_sync(sys.stdin.read)
    except EmbeddedError as error:
        _say(failed=str(error))


async def _write_rows(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS written (n bigint PRIMARY KEY)")
    number = await connection.fetchval("SELECT coalesce(max(n), 0) FROM written")
    while True:
        number += 1
        await connection.execute("INSERT INTO written VALUES ($1)", number)
        _say(acked=number)


if __name__ == "__main__":
    anyio.run(_main, Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
