"""All of it joined and running: the real index, its snapshots, and nothing that takes kefu down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from actors import Kind, Router
from kefu.recommendations.actor import ShardActor
from kefu.recommendations.messages import KIND, Record, View
from kefu.recommendations.opening import Around, Recommending
from kefu.recommendations.shards import shard_of
from kefu.settings import RecommendationSettings
from kefu.storage.database import DatabasePool
from kefu.storage.embedded import Stores
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.recommendations.shelves import Shelves, id_of
from tests.recommendations.town import PREFIX, viewer
from tests.until import until


class Instance:
    def __init__(self, recommending: Recommending, router: Router, around: Around) -> None:
        self.recommending = recommending
        self.router = router
        self.registry = around.registry

    @property
    def is_ready(self) -> bool:
        return self.recommending.shelf.whole is not None

    def counted(self, name: str) -> float:
        return self.registry.get_sample_value(name) or 0.0

    async def view(self, name: str, *numbers: int) -> None:
        for number in numbers:
            ref = self.router.ref(KIND, str(shard_of(number)))
            await ref.ask(Record((View(viewer(name), number, number),)), within=5)

    async def similar(self, number: int) -> list[int]:
        found = await self.recommending.answers.similar(id_of(number), limit=3)
        assert found is not None
        return [item.card.number for item in found.items]


@pytest.fixture
def around(redis: Redis, pool: DatabasePool, stores: Stores, tmp_path: Path) -> Around:
    shelves = Shelves()
    shelves.put(*range(10))
    return Around(
        settings=RecommendationSettings(reco_snapshot_every_s=10),
        pool=pool,
        redis=redis,
        redis_url=stores.redis_url,
        prefix=PREFIX,
        catalogue=shelves,
        clock=HandClock(),
        registry=CollectorRegistry(),
        folder=tmp_path / "recommendations",
        machine="here",
    )


@asynccontextmanager
async def running(around: Around) -> AsyncIterator[Instance]:
    around = Around(**{**_fields(around), "registry": CollectorRegistry()})
    recommending = Recommending(around)
    shards = recommending.shards
    kinds = (Kind(KIND, lambda key: ShardActor(int(key), shards)),)
    async with Router(kinds, random=SeededEntropy().random) as router:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recommending.run)
            yield Instance(recommending, router, around)
            tasks.cancel_scope.cancel()


def _fields(around: Around) -> dict[str, Any]:
    return {name: getattr(around, name) for name in around.__struct_fields__}


async def test_a_view_shows_in_the_answers_of_every_instance(around: Around) -> None:
    async with running(around) as one, running(around) as two:
        await until(lambda: one.is_ready and two.is_ready)
        await one.view("anna", 1, 2)
        await two.view("ben", 1, 2, 3)
        for each in (one, two):
            await until(lambda each=each: each.counted("kefu_recommendation_views") == 5)
            assert await each.similar(1) == [2, 3]
        assert one.counted("kefu_recommendation_viewers") == 2


async def test_after_a_start_the_snapshot_and_the_rest_of_the_log_are_there(
    around: Around, redis: Redis
) -> None:
    clock = around.clock
    assert isinstance(clock, HandClock)
    async with running(around) as first:
        await until(lambda: first.is_ready)
        await first.view("anna", 1, 2)
        await until(lambda: first.counted("kefu_recommendation_views") == 2)
        clock.advance(11)

        async def is_told() -> bool:
            return bool(await redis.exists(f"{PREFIX}snapshots"))

        await until(is_told, within_s=60)
    for key in await redis.keys(f"{PREFIX}views:*"):
        await redis.xtrim(key, maxlen=0)  # what the snapshot has is there no more
    async with running(around) as second:
        await second.view("ben", 1, 3)
        await until(lambda: second.is_ready)
        await until(lambda: second.counted("kefu_recommendation_views") == 4)
        assert await second.similar(1) == [2, 3]
        assert second.counted("kefu_views_indexed_total") == 2


async def test_without_a_place_for_snapshots_the_rest_goes_on(around: Around) -> None:
    around.folder.parent.mkdir(exist_ok=True)
    around.folder.write_text("a file")
    async with running(around) as one:
        await one.view("anna", 1, 2)
        assert await one.similar(1) == []
        assert not one.is_ready


async def test_a_part_that_fails_is_begun_again(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kefu.recommendations.opening.BEGIN_AGAIN_S", 0.01)
    shelves = around.catalogue
    assert isinstance(shelves, Shelves)
    original, failures = shelves.changes, [ValueError(), KeyError()]

    async def changes(since: int, *, limit: int) -> Any:
        if failures:
            raise failures.pop()
        return await original(since, limit=limit)

    shelves.changes = changes  # type: ignore[method-assign]
    async with running(around) as one:
        await until(lambda: one.is_ready)
