"""`kefu serve --workers N`: the small process above N workers that serve one port.

It starts them, starts again who died, and passes on that all is to end. Each worker is a whole
kefu, and all are one cluster; why each has a socket of its own is in gateway/listeners.py.

| told | does |
| --- | --- |
| SIGINT, SIGTERM | sends everybody away and ends; the second time without waiting for anybody |
| SIGHUP | replaces the workers one by one, with the settings and the program as they are now |
"""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process

import kefu
from kefu.gateway import listeners
from kefu.settings import Settings
from kefu.welcome import say
from kefu.worker import END, STOPPED_EXTRA_S, Place

DEATHS: Final = 5
DEATHS_WITHIN_S: Final = 30.0
START_WITHIN_S: Final = 660.0
"""The bundled PostgreSQL may take ten minutes to recover after a crash."""
WORDS_BYTES: Final = 64 * 1024
log = logging.getLogger("kefu.workers")


class _Running:
    """A worker's process. `is_ready` once it serves."""

    def __init__(self, process: Process, channel: socket.socket) -> None:
        self.process = process
        self.channel = channel
        self.is_ready = False
        self.ended = anyio.Event()

    def tell(self, what: signal.Signals) -> None:
        """Not through the process: its `send_signal` looks whether it has ended, and who waits for
        the end would never hear of it."""
        if not self.ended.is_set() and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, what)

    async def serves(self) -> str | None:
        """Its first words once it serves; None when it died before, or took too long."""
        heard = b""
        with anyio.move_on_after(START_WITHIN_S):
            while not heard.endswith(END) and len(heard) < WORDS_BYTES:
                piece = await self._piece()
                if not piece:
                    return None
                heard += piece
            self.is_ready = True
            return heard.removesuffix(END).decode()
        return None

    async def _piece(self) -> bytes:
        try:
            await anyio.wait_readable(self.channel)
            return self.channel.recv(4096)
        except (OSError, anyio.ClosedResourceError):
            return b""

    def close(self) -> None:
        anyio.notify_closing(self.channel)
        self.channel.close()


class _Seat:
    """A worker's place: its socket stays while workers come and go."""

    def __init__(self, number: int, listener: socket.socket) -> None:
        self.number = number
        self.listener = listener
        self.worker: _Running | None = None
        self.is_closed = False


async def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Serve until told to end; the exit code. `arguments` start a worker, but for its place.

    Raises KefuError when the port cannot be had.
    """
    sockets = listeners.bind_many(settings.host, settings.port, settings.workers)
    try:
        return await Workers(sockets, arguments, settings.shutdown_timeout_s).run()
    finally:
        for each in sockets:
            each.close()


class Workers:
    """`stop_within_s` is how long a worker may take to send people away."""

    def __init__(
        self, sockets: Sequence[socket.socket], arguments: Sequence[str], stop_within_s: float
    ) -> None:
        self._seats = [_Seat(number, each) for number, each in enumerate(sockets, start=1)]
        self._arguments = arguments
        self._end_within_s = stop_within_s + STOPPED_EXTRA_S
        self._living: set[_Running] = set()
        self._watched = 0
        self._is_over = anyio.Event()
        self._deaths: deque[float] = deque(maxlen=DEATHS)
        self._has_begun = False
        self._is_ending = False
        self._has_failed = False
        self._asked_to_replace = anyio.Event()

    async def run(self) -> int:
        """0 when every worker left in order, else 1."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._hear_signals)
            self._tasks.start_soon(self._replace_when_asked)
            await self._begin()
            await self._is_over.wait()
            self._tasks.cancel_scope.cancel()
        return 1 if self._has_failed else 0

    async def _begin(self) -> None:
        """The first worker alone: it brings stores and schema up, and says so, once."""
        first, *others = self._seats
        first.worker = await self._spawn(first, is_first=True)
        words = await first.worker.serves()
        for seat in others if words is not None else ():
            if not self._is_ending:
                seat.worker = await self._spawn(seat)
        for seat in others:
            if seat.worker is not None and await seat.worker.serves() is None:
                words = None
        if words is None or self._is_ending:
            self._has_failed = self._has_failed or not self._is_ending
            self._end(signal.SIGTERM)
            return
        self._has_begun = True
        say(words)

    async def _spawn(self, seat: _Seat, *, is_first: bool = False) -> _Running:
        self._watched += 1
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            place = Place(seat.listener.fileno(), theirs.fileno(), seat.number, is_first)
            command = [sys.executable, "-P", "-m", "kefu", *self._arguments]
            process = await anyio.open_process(
                [*command, "--as-worker", place.text()],
                stdin=subprocess.DEVNULL,
                stdout=None,
                stderr=None,
                env=_environment(),
                pass_fds=(place.listener_fd, place.parent_fd),
                start_new_session=True,  # Ctrl-C is for this process: it passes it on, once
            )
        worker = _Running(process, ours)
        self._living.add(worker)
        self._tasks.start_soon(self._watch, seat, worker)
        if self._is_ending:
            worker.tell(signal.SIGTERM)
        return worker

    async def _watch(self, seat: _Seat, worker: _Running) -> None:
        """Until it ends; and what its end means."""
        code = await worker.process.wait()
        worker.ended.set()
        self._living.discard(worker)
        if self._is_ending:
            self._has_failed = self._has_failed or (worker.is_ready and code != 0)
        elif seat.worker is worker and code == 0:
            log.warning("worker_left", extra={"worker": seat.number})  # `kefu drain`
            seat.is_closed = True
            seat.listener.close()
        elif code != 0 and self._has_begun:  # before, its own last words say it all
            log.error("worker_died", extra={"worker": seat.number, "code": code})
            if seat.worker is worker:
                await self._restart(seat)
        worker.close()
        self._watched -= 1
        if not self._watched:
            self._is_over.set()

    async def _restart(self, seat: _Seat) -> None:
        now = anyio.current_time()
        is_full = len(self._deaths) == DEATHS
        if is_full and now - self._deaths[0] <= DEATHS_WITHIN_S:
            log.critical("workers_die_too_often")
            self._has_failed = True
            self._end(signal.SIGTERM)
            return
        self._deaths.append(now)
        seat.worker = await self._spawn(seat)
        if await seat.worker.serves() is None:
            seat.worker.tell(signal.SIGKILL)

    # --- one by one -------------------------------------------------------------------------------

    async def _replace_when_asked(self) -> None:
        while True:
            await self._asked_to_replace.wait()
            self._asked_to_replace = anyio.Event()
            for seat in self._seats:
                if not self._has_begun or self._is_ending or not await self._replace(seat):
                    break

    async def _replace(self, seat: _Seat) -> bool:
        """The new worker takes the seat before the old one is sent away. False: it did not start,
        and the old one goes on."""
        if seat.is_closed:
            return True
        new = await self._spawn(seat)
        if await new.serves() is None:
            new.tell(signal.SIGKILL)
            log.error("worker_not_replaced", extra={"worker": seat.number})
            return False
        old, seat.worker = seat.worker, new
        if old is not None:
            old.tell(signal.SIGHUP)
            with anyio.move_on_after(self._end_within_s):
                await old.ended.wait()
            old.tell(signal.SIGKILL)
        log.info("worker_replaced", extra={"worker": seat.number})
        return True

    # --- the end ----------------------------------------------------------------------------------

    async def _hear_signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for each in signals:
                if each == signal.SIGHUP:
                    self._asked_to_replace.set()
                elif self._is_ending:
                    self._end(signal.SIGQUIT)
                else:
                    self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if not self._is_ending:
            self._is_ending = True
            self._tasks.start_soon(self._insist)
        for worker in self._living:
            worker.tell(how)

    async def _insist(self) -> None:
        await anyio.sleep(self._end_within_s)
        log.error("workers_killed", extra={"count": len(self._living)})
        self._has_failed = True
        self._end(signal.SIGKILL)


def _environment() -> dict[str, str]:
    """This very program, wherever the worker is started."""
    package = str(Path(kefu.__file__).parent.parent)
    path = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path))}
