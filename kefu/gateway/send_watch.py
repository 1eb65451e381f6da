"""A deadline for each of many sends.

One timer watches them all: setting a deadline for each costs more than most sends do.
"""

import asyncio
from types import TracebackType


class SendWatch:
    """Sends go one after another, inside `async with`, each between `begin` and `end`. The block
    raises TimeoutError when one takes longer than `within_s`, or was given up."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._limit: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop
        self.since: float | None = None
        """When what is being sent was begun, by the loop's clock; None where nothing is."""
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        await self._limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        limit, self._limit = self._limit, None
        if self._timer is not None:
            self._timer.cancel()
        if limit is not None:
            await limit.__aexit__(kind, error, trace)

    def begin(self) -> None:
        self.since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._within_s, self._look)

    def end(self) -> None:
        self.since = None

    def give_up(self) -> None:
        """Do not wait for what is being sent. Twice is as good as once."""
        if self.since is not None:
            self._expire()

    def _look(self) -> None:
        self._timer = None
        if self.since is None:
            return
        late_at = self.since + self._within_s
        if self._loop.time() >= late_at:
            self._expire()
        else:
            self._timer = self._loop.call_at(late_at, self._look)

    def _expire(self) -> None:
        """Nothing to do where the block is about to be left for that already."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._loop.time())
