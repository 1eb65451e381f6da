"""A shop with visitors: shards in a router, one instance's index, everything joined as in kefu."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid5

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from actors import Kind, Router
from kefu.recommendations.actor import ShardActor, World
from kefu.recommendations.answers import Answers
from kefu.recommendations.availability import Availability
from kefu.recommendations.figures import Figures
from kefu.recommendations.follower import Follower
from kefu.recommendations.messages import KIND, Record, View
from kefu.recommendations.products import Products
from kefu.recommendations.published import Published
from kefu.recommendations.publisher import Publisher
from kefu.recommendations.recording import Recording
from kefu.recommendations.shards import shard_of
from kefu.recommendations.shelf import Shelf, Stock
from kefu.recommendations.stream import ViewLog
from kefu.recommendations.tally import Tally
from kefu.recommendations.turns import Turns
from kefu.storage.database import DatabasePool
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.recommendations.naive_index import NaiveIndex
from tests.recommendations.shelves import NAMES, Shelves

PREFIX = "{kefu:test}:"


def viewer(name: str) -> UUID:
    return uuid5(NAMES, f"viewer {name}")


class Town:
    """`products` 0 to 99 are there, in no category, and can be bought."""

    def __init__(self, redis: Redis, pool: DatabasePool, *, per_minute: int = 60) -> None:
        self.clock = HandClock()
        self.views_told = 0
        self.redis = redis
        self.shelves = Shelves()
        self.shelves.put(*range(100))
        self.registry = CollectorRegistry()
        self.figures = Figures(self.registry)
        self.log = ViewLog(redis, PREFIX, self.clock, per_minute)
        self.products = Products(self.shelves)
        self.published = Published(redis, PREFIX)
        turns = Turns()
        self.shelf = Shelf(self.products, self.published, turns)
        self.index = NaiveIndex()
        self.follower = Follower(self.log, self.index, {}, self.clock, self.figures, turns)
        self.availability = Availability(self.shelves, self.index, self.figures)
        self.shelf.stock = Stock(self.index, self.follower, self.availability)
        self.publisher = Publisher(
            lambda: self.shelf.whole, self.products, self.published, self.clock, self.figures, turns
        )
        self.answers = Answers(
            self.shelves, self.products, self.shelf, self.clock, self.figures, 2000
        )
        self.tally = Tally(pool, self.clock)
        self.world = World(self.log, self.publisher.publish)
        self.router = Router(
            (Kind(KIND, lambda key: ShardActor(int(key), self.world)),),
            random=SeededEntropy().random,
        )
        self.recording = Recording(
            self.products, self.router.ref, self.clock, self.tally, self.figures, self.shelf.is_full
        )

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    async def views(self, by_viewer: dict[str, list[int]]) -> None:
        """Written down, read and ready to be asked about."""
        for name, numbers in by_viewer.items():
            for number in numbers:
                self.views_told += 1
                view = View(viewer(name), number, self.views_told)
                shard = shard_of(number)
                await self.router.ref(KIND, str(shard)).ask(Record((view,)), within=5)
        await self.catch_up()

    async def catch_up(self) -> None:
        await self.read_log()
        while await self.availability.look():
            pass

    async def read_log(self) -> None:
        """All of it, without waiting for more."""
        while await self.follower.take_in_news():
            pass


@asynccontextmanager
async def open_town(
    redis: Redis, pool: DatabasePool, *, per_minute: int = 60
) -> AsyncIterator[Town]:
    town = Town(redis, pool, per_minute=per_minute)
    async with town.router:
        yield town
