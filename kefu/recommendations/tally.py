"""How many recommendations were shown on each day (UTC) and how many of them were clicked.

Counted in memory and written a moment later: a crash loses the last seconds.
"""

import logging
from datetime import date
from typing import Final, Literal

import anyio
from msgspec.structs import replace

from kefu.clock import Clock
from kefu.recommendations import store
from kefu.recommendations.store import Shown
from kefu.storage.database import DatabasePool, transaction
from kefu.storage.errors import StoreUnavailable

WRITE_EVERY_S: Final = 10.0
Placement = Literal["page", "for_viewer"]
log = logging.getLogger("kefu.recommendations")


class Tally:
    """Start `run()` in a task of its own."""

    def __init__(self, pool: DatabasePool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._days: dict[date, Shown] = {}

    def shown(self, placement: Placement, count: int) -> None:
        """So many products were answered, to be shown there."""
        if placement == "page":
            self._add(Shown(on_page=count))
        else:
            self._add(Shown(for_viewer=count))

    def clicked(self) -> None:
        """A view that counts came from a recommendation."""
        self._add(Shown(clicked=1))

    def _add(self, more: Shown) -> None:
        day = self._clock.now().date()
        self._days[day] = _sum(self._days.get(day, Shown()), more)

    async def run(self) -> None:
        while True:
            await anyio.sleep(WRITE_EVERY_S)
            try:
                await self.flush()
            except StoreUnavailable:
                log.warning("recommendations_uncounted")

    async def flush(self) -> None:
        """Write what was counted. Raises StoreUnavailable, and then nothing of it is forgotten."""
        if not self._days:
            return
        days, self._days = self._days, {}
        try:
            async with transaction(self._pool) as connection:
                await store.add_days(connection, days)
        except StoreUnavailable:
            for day, counted in days.items():
                self._days[day] = _sum(self._days.get(day, Shown()), counted)
            raise


def _sum(one: Shown, other: Shown) -> Shown:
    return replace(
        one,
        on_page=one.on_page + other.on_page,
        for_viewer=one.for_viewer + other.for_viewer,
        clicked=one.clicked + other.clicked,
    )
