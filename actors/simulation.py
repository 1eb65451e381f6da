"""A deterministic event loop: virtual time, ready callbacks in an order drawn from a seed.

Time jumps to the next timer when nothing is ready, so an hour of waiting costs nothing. When
nothing is scheduled at all the run can never go on: that is an error, not a hang. Threads and
sockets do not exist here. As an anyio backend:
`("asyncio", {"loop_factory": lambda: SimulationLoop(seed)})`.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import base_events
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
RESOLUTION_S = 1e-9


class SimulationDeadlock(RuntimeError):
    """Every task waits for something that nobody will do."""


class SimulationLoop(base_events.BaseEventLoop):
    """Runs the same way each time for the same seed; seed None keeps first come first served."""

    _ready: deque[asyncio.Handle]

    def __init__(self, seed: int | None = 0) -> None:
        super().__init__()
        self._now_s = 0.0
        self._chance = None if seed is None else random.Random(seed)
        self._selector = _Instead(self)
        self._clock_resolution = RESOLUTION_S

    def time(self) -> float:
        return self._now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        raise RuntimeError("a simulated run has no threads")

    def wait(self, timeout_s: float | None) -> None:
        """What the loop does between two rounds: mix what is ready, or jump to the next timer."""
        if timeout_s is None:
            raise SimulationDeadlock(f"nothing can happen any more at {self._now_s:.3f} s")
        self._now_s += max(timeout_s, 0.0)
        if self._chance is not None and len(self._ready) > 1:
            mixed = list(self._ready)
            self._chance.shuffle(mixed)
            self._ready.clear()
            self._ready.extend(mixed)

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class _Instead:
    """Stands where a real loop waits for sockets."""

    def __init__(self, loop: SimulationLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        self._loop.wait(timeout)
        return []
