"""Finds what is to be published: products of a shard that were viewed since, a few each second.

The index says what changed in all shards at once, so it is sorted into shards here; what changed in
shards that live elsewhere is published there, and waits here, bounded, in case they move.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final
from uuid import UUID

from kefu.clock import Clock
from kefu.recommendations.figures import Figures
from kefu.recommendations.ports import Index, LogUnavailable
from kefu.recommendations.products import Products
from kefu.recommendations.published import Neighbours, Published
from kefu.recommendations.shards import SHARDS, shard_of
from kefu.recommendations.turns import Turns
from kefu.storage.errors import StoreUnavailable

NEIGHBOURS: Final = 50
PRODUCTS: Final = 3
"""For each shard, each second: counting what goes with one may take milliseconds."""
TAKEN: Final = 500
"""By each shard, each second."""
WAITING: Final = 10_000
log = logging.getLogger("kefu.recommendations")


class Publisher:
    """`index` is None while this instance has not read all views yet."""

    def __init__(
        self,
        index: Callable[[], Index | None],
        products: Products,
        published: Published,
        clock: Clock,
        figures: Figures,
        turns: Turns,
    ) -> None:
        self._index = index
        self._products = products
        self._published = published
        self._clock = clock
        self._figures = figures
        self._turns = turns
        # of a plain dict the first gets ever harder to find, the more have been taken before it
        self._changed: tuple[OrderedDict[int, None], ...] = tuple(
            OrderedDict() for _ in range(SHARDS)
        )

    async def publish(self, shard: int) -> None:
        """Some of what changed in the shard. What cannot be published now is, later."""
        index = self._index()
        if index is None:
            return
        self._take(index)
        changed = self._changed[shard]
        numbers = list(islice(changed, PRODUCTS))
        if not numbers:
            return
        for number in numbers:
            del changed[number]
        try:
            await self._publish(index, numbers)
        except (LogUnavailable, StoreUnavailable):
            changed.update(dict.fromkeys(numbers))
            log.warning("neighbours_unpublished", extra={"shard": shard})

    def _take(self, index: Index) -> None:
        for number in index.take_changed(TAKEN):
            changed = self._changed[shard_of(number)]
            changed[number] = None
            if len(changed) > WAITING:
                changed.popitem(last=False)

    async def _publish(self, index: Index, numbers: Sequence[int]) -> None:
        """Raises LogUnavailable, StoreUnavailable."""
        found: dict[int, Sequence[tuple[int, float]]] = {}
        for number in numbers:
            async with self._turns.working():
                found[number] = index.neighbours(number, NEIGHBOURS)
        near = (neighbour for neighbours in found.values() for neighbour, _ in neighbours)
        ids = await self._products.ids(dict.fromkeys((*found, *near)))
        answers: dict[UUID, Neighbours] = {
            ids[number]: [(ids[near], score) for near, score in neighbours if near in ids]
            for number, neighbours in found.items()
            if number in ids
        }
        if answers:
            await self._published.write(answers, self._clock.now())
        self._figures.published.inc(len(answers))
