"""Real PostgreSQL and Valkey for a kefu that was given no URLs.

The servers belong to a guard process (see guard.py) shared by every kefu of the same data
directory. The URLs stay the same for as long as the context is open: should the guard or a server
be killed, a new guard brings both back in the same place, and pools reconnect by themselves.
"""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import UNIXSocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

import kefu
from kefu.storage.errors import EmbeddedError
from kefu.storage.log_files import tail
from kefu.storage.places import guard_socket
from kefu.storage.servers import START_LIMIT_S

__all__ = ["EmbeddedError", "Stores", "open_embedded"]

_log = logging.getLogger("kefu.storage")

_SPAWN_LIMIT_S = 30.0
_STOP_LIMIT_S = 30.0
_LINE_LIMIT_BYTES = 65_536
_DEATHS_TOLERATED = 5
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "KEFU_PG_BIN")

_GONE = (OSError, anyio.ClosedResourceError, anyio.BrokenResourceError)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Stores:
    """Where the truth (PostgreSQL) and the speed (Redis) are."""

    database_url: str
    redis_url: str


@asynccontextmanager
async def open_embedded(data_dir: Path, *, on_progress: Progress) -> AsyncIterator[Stores]:
    """Start the servers of `data_dir`, or join those another kefu started.

    Leaving stops them if nobody else uses them, and returns when they have stopped.

    :raises EmbeddedError: they cannot run here.
    """
    data = _absolute(data_dir)
    membership = _Membership(data, await _join(data, on_progress))
    keeper = asyncio.create_task(membership.keep())
    try:
        yield membership.stores
    finally:
        membership.stop_keeping()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([keeper])
            await membership.leave()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


class _Membership:
    """This process's connection to the guard, renewed when the guard is lost."""

    def __init__(self, data: Path, joined: tuple[UNIXSocketStream, Stores]) -> None:
        self._data = data
        self._stream, self.stores = joined
        self._keeping = anyio.CancelScope()

    async def keep(self) -> None:
        """Rejoin whenever the guard is lost, until `stop_keeping`."""
        with self._keeping:
            while True:
                await _until_closed(self._stream)
                await self._stream.aclose()
                _log.error("embedded_servers_lost", extra={"data_dir": str(self._data)})
                await self._rejoin()
                _log.warning("embedded_servers_back", extra={"data_dir": str(self._data)})

    def stop_keeping(self) -> None:
        # Not Task.cancel: that would tear a guard's just opened connection from its thread.
        self._keeping.cancel()

    async def _rejoin(self) -> None:
        while True:
            try:
                self._stream, _ = await _join(self._data, lambda words: None)
            except EmbeddedError as error:
                _log.error("embedded_servers_failed", extra={"error": str(error)})
                await anyio.sleep(5)
            else:
                return

    async def leave(self) -> None:
        with anyio.move_on_after(_STOP_LIMIT_S), suppress(*_GONE):
            await self._stream.send_eof()
            await _until_closed(self._stream)
        await self._stream.aclose()


async def _until_closed(stream: UNIXSocketStream) -> None:
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await stream.receive()


async def _join(data: Path, on_progress: Progress) -> tuple[UNIXSocketStream, Stores]:
    """Connect to the guard, starting one when there is none.

    A guard may be found in the act of stopping: it closes the connection, and we begin again.
    """
    deaths = 0
    said = ""
    while deaths < _DEATHS_TOLERATED:
        stream = await _connect(data)
        is_starter = stream is None
        if stream is None:
            stream = await _start_guard(data)
        try:
            return stream, await _hear(stream, on_progress)
        except _GuardGone as gone:
            await stream.aclose()
            deaths += is_starter and not gone.is_busy
            said = gone.said or said
            await anyio.sleep(0.02)
        except BaseException:
            await stream.aclose()
            raise
    log = data / "logs" / "guard.log"
    raise EmbeddedError(
        f"The process that keeps the database ended {deaths} times while starting. "
        f"{said or f'The end of {log}:'}\n{said or tail(log)}"
    )


class _GuardGone(Exception):
    """The guard closed the connection, or left us to another guard, before it was ready."""

    def __init__(self, said: str = "", *, is_busy: bool = False) -> None:
        super().__init__(said)
        self.said = said
        self.is_busy = is_busy


async def _connect(data: Path) -> UNIXSocketStream | None:
    try:
        return await anyio.connect_unix(guard_socket(data))
    except OSError:
        return None


async def _start_guard(data: Path) -> UNIXSocketStream:
    try:
        connection = await anyio.to_thread.run_sync(_spawn_guard, data)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedError(
            f"The process that keeps the database cannot be started: {error}"
        ) from error
    try:
        return await UNIXSocketStream.from_socket(connection)
    except BaseException:
        connection.close()
        raise


def _spawn_guard(data: Path) -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        launcher = subprocess.Popen(
            [sys.executable, "-P", "-m", "kefu.storage.guard", str(data)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=theirs.fileno(),
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
        launcher.wait(_SPAWN_LIMIT_S)  # the guard itself is its child, see guard.main
    return ours


def _environment() -> dict[str, str]:
    """The guard outlives us: it gets our import path and none of our secrets."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    package = Path(kefu.__file__).parent.parent
    path = [str(package), *(os.path.abspath(entry) for entry in sys.path if entry)]
    return kept | {"PYTHONPATH": os.pathsep.join(path)}


async def _hear(stream: UNIXSocketStream, on_progress: Progress) -> Stores:
    """What the guard says until the servers are ready."""
    lines = BufferedByteReceiveStream(stream)
    said: list[str] = []
    with anyio.move_on_after(START_LIMIT_S + 60):
        while True:
            try:
                line = await lines.receive_until(b"\n", _LINE_LIMIT_BYTES)
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                raise _GuardGone("\n".join(said[-12:])) from None
            message = _parse(line)
            if isinstance(message, str):
                said.append(message)
            elif "ready" in message:
                return Stores(**message["ready"])
            elif "progress" in message:
                on_progress(message["progress"])
            elif "failed" in message:
                raise EmbeddedError(message["failed"])
            else:
                raise _GuardGone(is_busy=True)
    raise EmbeddedError(
        "The process that keeps the database does not answer. Look at logs/guard.log and "
        "logs/postgres.log in the data directory."
    )


def _parse(line: bytes) -> dict[str, Any] | str:
    """A message of the guard, or what Python printed when the guard could not even start."""
    try:
        message = json.loads(line)
    except ValueError:
        return line.decode(errors="replace")
    return message if isinstance(message, dict) else line.decode(errors="replace")
