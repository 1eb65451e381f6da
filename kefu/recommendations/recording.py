"""Takes views as pages send them: those that took long enough go to the shards of their products.

Shards are asked at once. Where one does not answer the whole request is refused: sent again, what
was written down already counts once.
"""

from asyncio import sleep
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import anyio
from msgspec import Struct

from actors import Ref
from kefu.clock import Clock
from kefu.errors import Problem
from kefu.recommendations.asking import ask
from kefu.recommendations.figures import Figures
from kefu.recommendations.messages import KIND, Record, Recorded, View
from kefu.recommendations.products import Products
from kefu.recommendations.shards import shard_of
from kefu.recommendations.stream import VIEWS_PER_CALL
from kefu.recommendations.tally import Tally
from protocol.recommendations import COUNTED_FROM_MS, NewView, Uncounted

OLDEST_S: Final = 24 * 3600
LOOKED_AT_ONCE: Final = 50
Outcome: TypeAlias = Recorded | Uncounted


class Told(Struct, frozen=True):
    """A view as somebody tells it."""

    viewer: UUID
    product_id: UUID
    view: NewView


class Recording:
    def __init__(
        self,
        products: Products,
        ref: Callable[[str, str], Ref[Any]],
        clock: Clock,
        tally: Tally,
        figures: Figures,
        is_full: Callable[[UUID], bool],
    ) -> None:
        self._products = products
        self._ref = ref
        self._clock = clock
        self._tally = tally
        self._figures = figures
        self._is_full = is_full

    async def record(self, told: Sequence[Told]) -> list[Outcome]:
        """What became of each, in their order. Raises Problem(OVERLOADED), StoreUnavailable."""
        outcomes: list[Outcome] = ["too_short"] * len(told)
        long = [place for place, each in enumerate(told) if each.view.dwell_ms > COUNTED_FROM_MS]
        full = await self._full({told[place].viewer for place in long})
        numbers = await self._products.numbers({told[place].product_id for place in long})
        places_by_shard: dict[int, list[int]] = {}
        for place in long:
            number = numbers.get(told[place].product_id)
            if number is None:
                outcomes[place] = "unknown_product"
            elif told[place].viewer in full:
                outcomes[place] = "too_many"
            else:
                places_by_shard.setdefault(shard_of(number), []).append(place)
        views = {
            place: self._view(told[place], numbers[told[place].product_id])
            for places in places_by_shard.values()
            for place in places
        }
        for place, outcome in (await self._written(places_by_shard, views)).items():
            outcomes[place] = outcome
        self._count(told, outcomes)
        return outcomes

    async def _full(self, viewers: Collection[UUID]) -> set[UUID]:
        """Those of whom the index counts no more: nobody is told that such a view was recorded."""
        full = set[UUID]()
        for place, viewer in enumerate(viewers, start=1):
            if self._is_full(viewer):
                full.add(viewer)
            if place % LOOKED_AT_ONCE == 0:
                await sleep(0)
        return full

    async def _written(
        self, places_by_shard: dict[int, list[int]], views: dict[int, View]
    ) -> dict[int, Recorded]:
        """By the place of the view. Raises Problem(OVERLOADED)."""
        found: dict[int, Recorded] = {}
        problem: Problem | None = None

        async def write(shard: int, places: Sequence[int]) -> None:
            nonlocal problem
            record = Record(tuple(views[place] for place in places))
            try:
                answer = await ask(self._ref(KIND, str(shard)), record)
            except Problem as error:  # told below: what leaves a task group is a group of errors
                problem = error
            else:
                found.update(zip(places, answer, strict=True))

        async with anyio.create_task_group() as asking:
            for shard, places in places_by_shard.items():
                for start in range(0, len(places), VIEWS_PER_CALL):
                    asking.create_task(write(shard, places[start : start + VIEWS_PER_CALL]))
        if problem is not None:
            raise problem
        return found

    def _view(self, told: Told, number: int) -> View:
        return View(told.viewer, number, self._at(told.view.timestamp))

    def _at(self, told: datetime | None) -> int:
        """A page's clock may be wrong: no view is of the future, or older than a day."""
        now = int(self._clock.now().timestamp())
        return now if told is None else min(now, max(now - OLDEST_S, int(told.timestamp())))

    def _count(self, told: Sequence[Told], outcomes: Sequence[Outcome]) -> None:
        for each, outcome in zip(told, outcomes, strict=True):
            self._figures.views.labels(outcome).inc()
            if outcome == "recorded" and each.view.source == "recommendation":
                self._tally.clicked()
