"""A deterministic event loop: virtual time, ready callbacks in an order drawn from a seed.

Time jumps to the next timer when nothing is ready, so an hour of waiting costs nothing. When
nothing is scheduled at all the run can never go on: that is an error, not a hang. Threads and
sockets do not exist here. As an anyio backend:
`("asyncio", {"loop_factory": lambda: SimulationLoop(seed)})`.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import base_events
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
RESOLUTION_S = 1e-9
MANY_CANCELLED = 100
_Timer = tuple[float, int, asyncio.TimerHandle]
"""When, which of those it is, what."""


class SimulationDeadlock(RuntimeError):
    """Every task waits for something that nobody will do."""


class SimulationLoop(base_events.BaseEventLoop):
    """Runs the same way each time for the same seed; seed None keeps first come first served."""

    _ready: deque[asyncio.Handle]
    _stopping: bool

    def __init__(self, seed: int | None = 0) -> None:
        super().__init__()
        self._now_s = 0.0
        self._chance = None if seed is None else random.Random(seed)
        self._timers: list[_Timer] = []
        self._timer_count = 0
        self._cancelled_count = 0

    def time(self) -> float:
        return self._now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        raise RuntimeError("a simulated run has no threads")

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._add_timer(handle)
        return handle

    def _add_timer(self, handle: asyncio.TimerHandle) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (handle.when(), self._timer_count, handle))

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        self._cancelled_count += 1
        if self._cancelled_count > max(MANY_CANCELLED, len(self._timers) // 2):
            self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled_count = 0

    def _run_once(self) -> None:
        """One round, as asyncio's: whatever becomes ready meanwhile is for the next."""
        self._go_on()
        ready = self._ready
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _go_on(self) -> None:
        """Mix what is ready, or jump to the next timer; what is due then comes last."""
        ready, timers = self._ready, self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
            self._cancelled_count -= 1
        if not ready and not self._stopping:
            if not timers:
                raise SimulationDeadlock(f"nothing can happen any more at {self._now_s:.3f} s")
            self._now_s = max(self._now_s, timers[0][0])
        elif self._chance is not None and len(ready) > 1:
            mixed = list(ready)
            self._chance.shuffle(mixed)
            ready.clear()
            ready.extend(mixed)
        due_s = self._now_s + RESOLUTION_S
        while timers and timers[0][0] < due_s:
            ready.append(heapq.heappop(timers)[2])

    def _process_events(self, events: object) -> None:
        raise AssertionError("nothing comes from outside")

    def _write_to_self(self) -> None:
        pass
