"""The tasks that run the cells: an idle actor has none, a busy one borrows one for its turn.

As many tasks exist as actors wait inside `receive` at the same time, plus a few that linger.
While anything is ready a waking task is on its way, so a turn that waits holds up nobody; a
turn that does not wait is followed by the next one without going through the event loop.
"""

import asyncio
from collections import deque
from contextvars import Context
from typing import Protocol

from anyio.abc import TaskGroup

SHARE_MESSAGES = 64
SHARE_S = 0.002
LINGERING_LIMIT = 64


def is_cancelling() -> bool:
    """Whether the running task itself is being cancelled, not only something it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Turn(Protocol):
    async def turn(self, share: int, now: float, until: float) -> int:
        """Handle up to `share` messages until loop time `until`; the count of those taken."""
        ...


class Workers:
    """Runs what is `add`ed, first come first served."""

    def __init__(self, loop: asyncio.AbstractEventLoop, group: TaskGroup, context: Context) -> None:
        self._loop = loop
        self._group = group
        self._context = context
        self._ready: deque[Turn] = deque()
        self._lingering: list[asyncio.Future[None]] = []
        self._is_waking = False
        self._is_closed = False

    def close(self) -> None:
        """Take nothing more; timers of actors that are gone may still call."""
        self._is_closed = True

    def add(self, cell: Turn) -> None:
        """Give the cell a turn soon."""
        self._ready.append(cell)
        if not self._is_waking and not self._is_closed:
            self._wake()

    def _wake(self) -> None:
        self._is_waking = True
        while self._lingering:
            waiter = self._lingering.pop()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._group.create_task(self._work(), name="actor worker", context=self._context)

    async def _work(self) -> None:
        ready, time = self._ready, self._loop.time
        while True:
            self._is_waking = False
            now = time()
            share, until = SHARE_MESSAGES, now + SHARE_S
            while ready:
                cell = ready.popleft()
                if ready and not self._is_waking:
                    self._wake()
                share -= await cell.turn(share, now, until)
                now = time()
                if share <= 0 or now >= until:
                    await asyncio.sleep(0)
                    now = time()
                    share, until = SHARE_MESSAGES, now + SHARE_S
            if len(self._lingering) >= LINGERING_LIMIT:
                return
            waiter = self._loop.create_future()
            self._lingering.append(waiter)
            await waiter
