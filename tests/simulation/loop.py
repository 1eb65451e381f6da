"""A simulated machine: processes on one deterministic loop that can be killed like real ones.

Killing takes away everything a process would still have done, between two steps of whatever runs:
no `finally` runs, no farewell is sent. Only when all is over are the dead unwound, unseen.
"""

import asyncio
import heapq
from contextvars import Context, ContextVar, copy_context
from typing import Any

from actors.simulation import SimulationLoop

_PROCESS: ContextVar["Process | None"] = ContextVar("simulation.process", default=None)


class Process:
    """What one kill takes away: every callback that runs in `context`, or in a copy of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.context: Context = copy_context()
        self.context.run(_PROCESS.set, self)

    def __repr__(self) -> str:
        return self.name


class MortalLoop(SimulationLoop):
    """Callbacks outside of any process are the world's, and never die."""

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.main: asyncio.Task[Any] | None = None
        self._taken: list[asyncio.Handle] = []
        self._dead: set[asyncio.Task[Any]] = set()

    @property
    def living(self) -> set[asyncio.Task[Any]]:
        """The tasks that still run, but for the world's own."""
        return {task for task in asyncio.all_tasks(self) - self._dead if task is not self.main}

    def kill(self, process: Process) -> None:
        """Now, in the middle of everything."""
        process.is_dead = True
        # collected as garbage its tasks would still run their `finally`, and at any time
        self._dead |= self.living
        for place, handle in enumerate(self._ready):
            if _process_of(handle) is process:
                self._ready[place] = asyncio.Handle(_nothing, (), self)  # the round counts them
                self._taken.append(handle)
        rest = []
        for timer in self._scheduled:
            if _process_of(timer) is process:
                timer._scheduled = False  # type: ignore[attr-defined]  # out of the loop's books
            else:
                rest.append(timer)
        self._scheduled[:] = rest
        heapq.heapify(self._scheduled)

    def unwind(self) -> None:
        """Give back what was taken, so that every task can end. Only when nobody looks any more."""
        self.set_exception_handler(lambda _loop, _context: None)
        self._ready.extend(self._taken)
        self._taken.clear()


def _process_of(handle: asyncio.Handle) -> Process | None:
    context: Context = handle._context  # type: ignore[attr-defined]  # not in the type stubs
    return context.get(_PROCESS)


def _nothing() -> None:
    pass
