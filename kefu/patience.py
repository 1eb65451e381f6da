"""One timer for many waits.

Setting a deadline for each costs more than most of what is waited for.
"""

import asyncio
from collections.abc import Callable


class Patience:
    """Waits go one after another, each between `begin` and `end`; behind the last of them comes
    `stop`. `on_late` is called, once, in the middle of one that takes longer than `within_s`."""

    __slots__ = ("_loop", "_on_late", "_timer", "_within_s", "since")

    def __init__(self, within_s: float, on_late: Callable[[], object]) -> None:
        self._within_s = within_s
        self._on_late = on_late
        self._loop: asyncio.AbstractEventLoop
        self._timer: asyncio.TimerHandle | None = None
        self.since: float | None = None
        """When the wait was begun, by the loop's clock; None where there is none."""

    def begin(self) -> None:
        if self._timer is None:
            self._loop = asyncio.get_running_loop()
            self._timer = self._loop.call_later(self._within_s, self._look)
        self.since = self._loop.time()

    def end(self) -> None:
        self.since = None

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self.since is None:
            return
        late_at = self.since + self._within_s
        if self._loop.time() < late_at:
            self._timer = self._loop.call_at(late_at, self._look)
        else:
            self._on_late()
