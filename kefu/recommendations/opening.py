"""Makes all parts of recommendations and runs them beside the chats.

Nothing here may take the server down: a part that fails is told of in the log and begun again.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import anyio
from msgspec import Struct
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from starlette.routing import Route

from actors import Ref
from kefu.catalogue.messages import Catalogue
from kefu.clock import Clock
from kefu.recommendations import actor, routes
from kefu.recommendations.answers import Answers
from kefu.recommendations.availability import Availability
from kefu.recommendations.counting.index import Index
from kefu.recommendations.figures import Figures
from kefu.recommendations.follower import Follower
from kefu.recommendations.kept import Kept
from kefu.recommendations.ports import Positions
from kefu.recommendations.products import Products
from kefu.recommendations.published import Published
from kefu.recommendations.publisher import Publisher
from kefu.recommendations.recording import Recording
from kefu.recommendations.shelf import Shelf, Stock
from kefu.recommendations.stream import ViewLog
from kefu.recommendations.tally import Tally
from kefu.recommendations.turns import Turns
from kefu.recommendations.viewers import Callers
from kefu.settings import RecommendationSettings
from kefu.storage.database import DatabasePool
from kefu.storage.redis import open_redis

BEGIN_AGAIN_S: Final = 5.0
CLOSE_WITHIN_S: Final = 1.0
READ_TIMEOUT_S: Final = 10.0
"""Above the follower's wait and the time Redis has for an answer."""
log = logging.getLogger("kefu.recommendations")


class Around(Struct, frozen=True, kw_only=True):
    """What recommendations are handed: `prefix` begins every name in Redis, `folder` is for
    snapshots, `machine` is the name under which others know who has them."""

    settings: RecommendationSettings
    pool: DatabasePool
    redis: Redis
    redis_url: str
    prefix: str
    catalogue: Catalogue
    clock: Clock
    registry: CollectorRegistry
    folder: Path
    machine: str


class Recommending:
    """Made, but not running: see `run`."""

    def __init__(self, around: Around) -> None:
        settings, clock = around.settings, around.clock
        self._around = around
        self._figures = figures = Figures(around.registry)
        self._turns = turns = Turns()
        self._products = products = Products(around.catalogue)
        published = Published(around.redis, around.prefix)
        self.log = _log(around, around.redis)
        self.tally = Tally(around.pool, clock)
        self.shelf = shelf = Shelf(products, published, turns)
        self.answers = Answers(
            around.catalogue, products, shelf, clock, figures, settings.reco_history_limit
        )
        publisher = Publisher(lambda: shelf.whole, products, published, clock, figures, turns)
        self.shards = actor.World(self.log, publisher.publish)
        figures.is_ready.set_function(lambda: shelf.whole is not None)

    def routes(self, callers: Callers, ref: Callable[[str, str], Ref[Any]]) -> list[Route]:
        """`ref` leads to actors."""
        clock = self._around.clock
        recording = Recording(
            self._products, ref, clock, self.tally, self._figures, self.shelf.is_full
        )
        return routes.routes(routes.World(callers, ref, recording, self.answers, self.tally, clock))

    async def run(self) -> None:
        """For ever. Until the last snapshot is loaded, others' answers are given."""
        await _lasting("all", self._run)

    async def _run(self) -> None:
        around = self._around
        kept = Kept(around.folder, around.machine, around.settings, self.log, around.clock)
        client = open_redis(  # of its own, for reads that wait
            around.redis_url, max_connections=2, read_timeout_s=READ_TIMEOUT_S
        )
        try:
            await self._run_parts(kept, _log(around, client))
        finally:
            kept.close()
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_WITHIN_S):
                await client.aclose()

    async def _run_parts(self, kept: Kept, following: ViewLog) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_lasting, "tally", self.tally.run)
            index, positions = await _loaded(kept)
            self.shelf.stock = stock = self._stock(index, positions, following)
            keeper = kept.keeper(index, stock.follower.positions, self._turns)
            tasks.start_soon(_lasting, "follower", stock.follower.run)
            tasks.start_soon(_lasting, "availability", stock.availability.run)
            tasks.start_soon(_lasting, "keeper", keeper.run)

    def _stock(self, index: Index, positions: Positions, following: ViewLog) -> Stock:
        around, figures = self._around, self._figures
        figures.pairs.set_function(lambda: len(index))
        figures.viewers.set_function(lambda: index.viewers)
        follower = Follower(following, index, positions, around.clock, figures, self._turns)
        return Stock(index, follower, Availability(around.catalogue, index, figures))


def _log(around: Around, client: "Redis") -> ViewLog:
    return ViewLog(client, around.prefix, around.clock, around.settings.reco_views_per_minute)


async def _loaded(kept: Kept) -> tuple[Index, Positions]:
    while True:
        try:
            return await kept.load()
        except Exception:
            log.exception("recommendations_unloaded")
        await anyio.sleep(BEGIN_AGAIN_S)


async def _lasting(part: str, run: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await run()
        except Exception:
            log.exception("recommendations_failed", extra={"part": part})
        await anyio.sleep(BEGIN_AGAIN_S)
