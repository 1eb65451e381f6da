"""How fast views are taken in: alone, beside everything else an instance does, and at a start.

Beside everything else means: on one event loop views come at a rate, answers are asked for at a
rate, hot products are counted, and a snapshot is made. Somebody who only wants to sleep a
millisecond at a time says how long the loop was away.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.views_answers import LIMIT, Figures, Watch
from bench.views_drawn import packed
from kefu.clock import SystemClock
from kefu.recommendations.counting.index import Index
from kefu.recommendations.keeper import Keeper, World
from kefu.recommendations.snapshots import Snapshot
from kefu.recommendations.turns import Turns
from kefu.recommendations.views import Packed

TICK_S = 0.001
PORTION_S = 0.01
LOOK_S = 0.05
FRESH_EVERY_S = 0.1


def take_in(index: Index, views: Packed, batch: int) -> Figures:
    """All of it, and nothing else."""
    watch, new = Watch(), 0
    for start in range(0, views.size, batch):
        watch.start()
        new += index.add(views[start : start + batch])
        watch.stop()
    return {
        "views_per_s": round(views.size / sum(watch.clock_s)),
        "views_per_cpu_s": round(views.size / sum(watch.cpu_s)),
        "new_pairs": round(new / views.size, 3),
        "batch_ms": watch.read(),
    }


class Serving:
    """An instance without its sockets."""

    def __init__(
        self, index: Index, snapshot: Snapshot, folder: Path, views: Packed, batch: int
    ) -> None:
        self._index, self._folder, self._views, self.taken = index, folder, views, 0
        self._turns = turns = Turns()
        self._news: list[Packed] = []
        self._batch = batch
        self.stalls, self.stalls_compacting = Watch(), Watch()
        self.is_compacting, self.compacting_s = False, 0.0
        self._watch: Watch | None = None
        self.answers: list[float] = []
        self.fresh: list[float] = []
        world = World(folder, SystemClock(), lambda: {"views:00": "2-0"}, self._hear, 3600.0, turns)
        self.keeper = Keeper(index, world, snapshot)

    async def run(self, seconds: float, views_per_s: int, asked: Sequence[int], rate: int) -> None:
        work = (
            self.keeper.run(),
            self._look(),
            self._view(views_per_s),
            self._ask(asked, rate),
            self._look_for_news(),
        )
        tasks = [asyncio.ensure_future(each) for each in work]
        self._tick()
        await asyncio.sleep(seconds)
        self._ticking.cancel()
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _hear(self, _positions: object) -> None:
        pass

    def _tick(self) -> None:
        """Called by the loop itself: a task that sleeps would have to wait for its turn, too."""
        if self._watch is not None:
            self._watch.stop()
        self._watch = self.stalls_compacting if self.is_compacting else self.stalls
        self._watch.start()
        self._ticking = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    async def _look(self) -> None:
        """A snapshot is made as long as there is a plan for one."""
        while True:
            self.is_compacting = any(self._folder.glob("plan-*"))
            self.compacting_s += LOOK_S * self.is_compacting
            await asyncio.sleep(LOOK_S)

    async def _view(self, rate: int) -> None:
        """What has come since is taken in, in portions as the follower has them."""
        began = time.perf_counter()
        while True:
            while self._news:
                async with self._turns.working():
                    self._index.add(self._news.pop(0))
            due = min(int((time.perf_counter() - began) * rate), self._views.size)
            for start in range(self.taken, due, self._batch):
                self.taken = min(start + self._batch, due)
                async with self._turns.working():
                    self._index.add(self._views[start : self.taken])
            await asyncio.sleep(PORTION_S)

    async def _ask(self, products: Sequence[int], rate: int) -> None:
        """A late answer counts from when it was due."""
        began, number = time.perf_counter(), 0
        while True:
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            async with self._turns.answering():
                self._index.neighbours(products[number % len(products)], LIMIT)
            self.answers.append(time.perf_counter() - due)
            number += 1

    async def _look_for_news(self) -> None:
        """Somebody new looks at two products that few have seen: until each goes with the other."""
        chance, viewer = random.Random(1), 1 << 40
        while True:
            await asyncio.sleep(FRESH_EVERY_S)
            both = np.array([self._rarely_viewed(chance), self._rarely_viewed(chance)], np.int32)
            viewer += 1
            began = time.perf_counter()
            self._news.append(packed(np.array([viewer, viewer]), both))
            while not await self._goes_with(*both.tolist()):  # noqa: ASYNC110, nobody tells when
                await asyncio.sleep(TICK_S)
            self.fresh.append(time.perf_counter() - began)

    async def _goes_with(self, one: int, other: int) -> bool:
        async with self._turns.answering():
            return other in dict(self._index.neighbours(one, 1000))

    def _rarely_viewed(self, chance: random.Random) -> int:
        some = chance.sample(range(self._index.postings.product_count), 50)
        return min(some, key=self._index.viewer_count)
