"""Sends that must not take too long, and can be given up."""

import asyncio
from types import TracebackType

from kefu.patience import Patience


class SendWatch(Patience):
    """Sends are the waits, inside `async with`. The block raises TimeoutError when one takes longer
    than `within_s`, or was given up."""

    __slots__ = ("_limit",)

    def __init__(self, within_s: float) -> None:
        super().__init__(within_s, self._expire)
        self._limit: asyncio.Timeout | None = None

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
        self.stop()
        if limit is not None:
            await limit.__aexit__(kind, error, trace)

    def give_up(self) -> None:
        """Do not wait for what is being sent. Twice is as good as once."""
        if self.since is not None:
            self._expire()

    def _expire(self) -> None:
        """Nothing to do where the block is about to be left for that already."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())
