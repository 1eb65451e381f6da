"""Reads the log of all shards into this instance's index, for ever.

Every view is in every instance's memory. Views are a set: what is read twice adds nothing, so that
after any doubt the log is read again from where the doubt began. Run it in an anyio task group: a
single cancellation may get lost in redis-py (the `wait_for` of Python 3.11).
"""

import logging
from collections.abc import Sequence
from itertools import chain
from typing import Final
from uuid import UUID

import anyio
import numpy as np

from kefu.clock import Clock
from kefu.recommendations.figures import Figures
from kefu.recommendations.ports import Index, LogUnavailable, Positions
from kefu.recommendations.stream import START, Portion, ViewLog, order
from kefu.recommendations.turns import Turns
from kefu.recommendations.views import unpacked

VIEWS_AT_ONCE: Final = 75
"""About a millisecond while all that is much viewed is counted."""
CATCHING_UP_AT_ONCE: Final = 500
"""After a start: fewer at once cost more each, and the log may be long."""
WAIT_S: Final = 1.0
COMPARE_EVERY_S: Final = 5.0
PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
log = logging.getLogger("kefu.recommendations")


class Follower:
    """`log` needs a client of its own: it waits. `positions` are those of the index."""

    def __init__(
        self,
        log: ViewLog,
        index: Index,
        positions: Positions,
        clock: Clock,
        figures: Figures,
        turns: Turns,
    ) -> None:
        self.positions = positions
        """Never ahead of the index: a snapshot of both is whole."""
        self.has_caught_up = False
        """Whether all that was in the log at the start is in the index."""
        self._log = log
        self._index = index
        self._clock = clock
        self._figures = figures
        self._turns = turns
        self._compare_at = 0.0
        self._pause_s = PAUSE_S

    async def run(self) -> None:
        while True:
            try:
                await self.follow()
            except LogUnavailable as error:
                self._figures.log_losses.inc()
                log.warning("views_unread", extra={"reason": str(error)})
                self._compare_at = 0.0
                await anyio.sleep(self._pause_s)
                self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    async def follow(self) -> None:
        """Take in what is new; where nothing is, wait for it. Raises LogUnavailable."""
        if self._clock.monotonic() >= self._compare_at:
            await self.compare()
            self._compare_at = self._clock.monotonic() + COMPARE_EVERY_S
        if not await self.take_in_news():
            await self._log.wait(self.positions, within_s=WAIT_S)

    async def take_in_news(self) -> bool:
        """Whether there was any. Raises LogUnavailable."""
        portions, has_more = await self._log.read(self.positions)
        self._pause_s = PAUSE_S
        await self._take_in(portions)
        self.has_caught_up = self.has_caught_up or not has_more
        return bool(portions)

    async def compare(self) -> None:
        """A server that has lost its log counts from its clock again. Where that is behind ours,
        what it writes would never be seen. Raises LogUnavailable."""
        for stream, head in (await self._log.heads()).items():
            if order(head) < order(self.positions.get(stream, START)):
                log.warning("views_begun_anew", extra={"stream": stream})
                self.positions[stream] = START

    async def _take_in(self, portions: Sequence[Portion]) -> None:
        """In slices: the loop belongs to the chats. In the order of time: what a viewer looked at
        last is in several streams."""
        views = unpacked(b"".join(portion.views for portion in portions))
        in_order = np.argsort(views["at"], kind="stable")
        at_once = VIEWS_AT_ONCE if self.has_caught_up else CATCHING_UP_AT_ONCE
        for start in range(0, len(views), at_once):
            some = views[in_order[start : start + at_once]]
            async with self._turns.working():
                self._figures.views_indexed.inc(self._index.add(some))
        for join in chain.from_iterable(portion.joins for portion in portions):
            guest, customer = UUID(bytes=join[:16]), UUID(bytes=join[16:32])
            async with self._turns.working():
                self._index.join(guest, customer, is_guest=bool(join[32]))
        self.positions.update({portion.stream: portion.last_id for portion in portions})
        self._figures.lag.set(max((self._age_s(portion) for portion in portions), default=0.0))

    def _age_s(self, portion: Portion) -> float:
        """How long ago the last of it was written."""
        written_at = order(portion.last_id)[0] / 1000
        return max(0.0, self._clock.now().timestamp() - written_at)
