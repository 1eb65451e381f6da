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
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
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

    @property
    def is_sending(self) -> bool:
        return self._since is not None

    def begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._since = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._within_s, self._look)

    def end(self) -> None:
        self._since = None

    def give_up(self) -> None:
        """Do not wait for what is being sent."""
        if self._since is not None and self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _look(self) -> None:
        self._timer = None
        if self._since is None or self._limit is None:
            return
        loop = asyncio.get_running_loop()
        late_at = self._since + self._within_s
        if loop.time() >= late_at:
            self._limit.reschedule(late_at)
        else:
            self._timer = loop.call_at(late_at, self._look)
