"""A simulated machine: processes on one deterministic loop that can be killed and stopped like real
ones.

Killing takes away everything a process would still have done, between two steps of whatever runs:
no `finally` runs, no farewell is sent. Only when all is over are the dead unwound, unseen. Pausing
holds all of it back, timers and what arrives too, and releases it at once.
"""

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any
from weakref import WeakSet

from anyio._backends._asyncio import CancelScope

from actors.simulation import SimulationLoop

_PROCESS: ContextVar["Process | None"] = ContextVar("simulation.process", default=None)


class Process:
    """What one kill takes away: every callback that runs in `context`, or in a copy of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.is_paused = False
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.held_ready: list[asyncio.Handle] = []
        self.held_timers: list[asyncio.TimerHandle] = []
        self.context: Context = copy_context()
        self.context.run(_PROCESS.set, self)

    def __repr__(self) -> str:
        return self.name

    @property
    def task_count(self) -> int:
        """How many tasks run."""
        return sum(not task.done() for task in self.tasks)


class MortalLoop(SimulationLoop):
    """Callbacks outside of any process are the world's, and never die."""

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.main: asyncio.Task[Any] | None = None
        self._taken: list[asyncio.Handle] = []
        self._dead: list[asyncio.Task[Any]] = []
        self._paused: list[Process] = []
        self.task_count = 0
        self.is_over = False
        """Whether the run has ended, and all that is left is to end every task."""
        self.set_task_factory(_make_task)

    # --- killing ----------------------------------------------------------------------------------

    def kill(self, process: Process) -> None:
        """Now, in the middle of everything."""
        if self.is_over:
            return  # its tasks are to end now, as everybody's
        self.go_on(process)
        process.is_dead = True
        # collected as garbage its tasks would still run their `finally`, and at any time
        self._dead += process.tasks
        self._taken += self._take_ready(process)
        self._take_timers(process)

    def unwind(self) -> None:
        """Give back what was taken, so that every task can end. Only when nobody looks any more."""
        self.is_over = True
        self.set_exception_handler(lambda _loop, _context: None)
        for process in tuple(self._paused):
            self.go_on(process)
        self._ready.extend(self._taken)
        self._taken.clear()

    def _take_ready(self, process: Process) -> list[asyncio.Handle]:
        taken = []
        for place, handle in enumerate(self._ready):
            if _process_of(handle) is process:
                self._ready[place] = asyncio.Handle(_nothing, (), self)  # the round counts them
                taken.append(handle)
        return taken

    def _take_timers(self, process: Process) -> list[asyncio.TimerHandle]:
        taken, rest = [], []
        for timer in self._scheduled:
            if _process_of(timer) is process:
                timer._scheduled = False  # type: ignore[attr-defined]  # out of the loop's books
                taken.append(timer)
            else:
                rest.append(timer)
        self._scheduled[:] = rest
        heapq.heapify(self._scheduled)
        return taken

    # --- pausing ----------------------------------------------------------------------------------

    def pause(self, process: Process) -> None:
        """Nothing of it runs until `go_on`; what comes meanwhile waits."""
        if process.is_dead or process.is_paused:
            return
        process.is_paused = True
        self._paused.append(process)
        process.held_ready = self._take_ready(process)
        process.held_timers = self._take_timers(process)

    def go_on(self, process: Process) -> None:
        """All that was held back is due at once, in the order the seed says."""
        if not process.is_paused:
            return
        process.is_paused = False
        self._paused.remove(process)
        self._ready.extend(process.held_ready)
        for timer in process.held_timers:
            if not timer.cancelled():
                timer._scheduled = True  # type: ignore[attr-defined]
                heapq.heappush(self._scheduled, timer)
        process.held_ready, process.held_timers = [], []

    def _call_soon(
        self, callback: Callable[..., object], args: Any, context: Context | None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if self._paused and (process := _process_of(handle)) and process.is_paused:
            process.held_ready.append(handle)
        else:
            self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        if self._paused and (process := _process_of(timer)) and process.is_paused:
            self._scheduled.remove(timer)
            heapq.heapify(self._scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            process.held_timers.append(timer)
        return timer


class NumberedTask(asyncio.Task[Any]):
    """Sets of tasks are gone through in the order of their hashes; those of addresses in memory
    would have a seed play differently in every program that plays it."""

    number = 0

    def __hash__(self) -> int:
        return self.number


def hash_of_scope(scope: CancelScope) -> int:
    """For sets of anyio's cancel scopes, likewise."""
    return hash(scope._host_task)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None
) -> asyncio.Task[Any]:
    """Every task belongs to the process in whose context it runs."""
    assert isinstance(loop, MortalLoop)
    loop.task_count += 1
    task = NumberedTask.__new__(NumberedTask)
    task.number = loop.task_count  # its beginning puts it into a set
    task.__init__(coroutine, loop=loop, context=context)  # type: ignore[misc]
    process = _PROCESS.get() if context is None else context.get(_PROCESS)
    if process is not None:
        process.tasks.add(task)
    return task


def _process_of(handle: asyncio.Handle) -> Process | None:
    context: Context = handle._context  # type: ignore[attr-defined]  # not in the type stubs
    return context.get(_PROCESS)


def _nothing() -> None:
    pass
