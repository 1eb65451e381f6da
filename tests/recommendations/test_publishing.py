"""What goes with a product is in Redis a moment later, for instances that cannot answer yet."""

from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from kefu.recommendations import publisher
from kefu.recommendations.messages import KIND, Tick
from kefu.recommendations.ports import LogUnavailable
from kefu.recommendations.published import KEPT_S, Published
from kefu.recommendations.shards import SHARDS, shard_of
from kefu.storage.redis import open_redis
from tests.fakes.proxy import proxy_to
from tests.recommendations.shelves import id_of
from tests.recommendations.town import PREFIX, Town
from tests.until import until

VIEWS = {"anna": [1, 2, 3], "ben": [1, 2], "carl": [1, 3], "dora": [2]}


async def publish_all(town: Town) -> None:
    for shard in range(SHARDS):
        await town.publisher.publish(shard)


async def published(town: Town, number: int) -> list[tuple[int, float]]:
    numbers = {id_of(each): each for each in range(100)}
    found = await town.published.read(id_of(number), 50)
    return [(numbers[id], round(score, 9)) for id, score in found]


async def test_neighbours_are_published_with_how_and_when(town: Town, redis: Redis) -> None:
    await town.views(VIEWS)
    await publish_all(town)
    for number in (1, 2, 3):
        found = [(each, round(score, 9)) for each, score in town.index.neighbours(number, 50)]
        assert await published(town, number) == found
    how = await redis.hgetall(f"{PREFIX}answers:{id_of(1)}")
    assert how[b"algorithm"] == b"collaborative_filtering"
    assert datetime.fromisoformat(how[b"generated_at"].decode()) == town.clock.now()
    for kind in ("similar", "answers"):
        assert 0 < await redis.ttl(f"{PREFIX}{kind}:{id_of(1)}") <= KEPT_S
    assert town.counted("kefu_recommendations_published_total") == 3


async def test_what_goes_with_it_no_more_is_taken_out(town: Town, redis: Redis) -> None:
    await town.views(VIEWS)
    await publish_all(town)
    town.shelves.delist(3)
    town.shelves.delist(2)
    await town.views({"erik": [1]})
    await publish_all(town)
    assert await published(town, 1) == []
    how = await redis.hgetall(f"{PREFIX}answers:{id_of(1)}")
    assert how[b"algorithm"] == b"popular"


async def test_at_most_fifty_products_are_published_at_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "PRODUCTS", 2)
    same = [number for number in range(100) if shard_of(number) == shard_of(1)][:5]
    assert len(same) == 5
    await town.views({"anna": same})
    counts = []
    for _ in range(4):
        await town.publisher.publish(shard_of(1))
        counts.append(town.counted("kefu_recommendations_published_total"))
    assert counts == [2, 4, 5, 5]


async def test_each_shard_publishes_its_own(town: Town) -> None:
    await town.views(VIEWS)
    await town.publisher.publish(shard_of(1))
    assert await published(town, 1) != []
    others = [number for number in (2, 3) if shard_of(number) != shard_of(1)]
    assert [await published(town, number) for number in others] == [[] for _ in others]
    await publish_all(town)
    assert all([await published(town, number) for number in others])


async def test_nothing_is_published_before_all_views_are_read(town: Town) -> None:
    await town.views(VIEWS)
    town.follower.has_caught_up = False
    await publish_all(town)
    assert await published(town, 1) == []
    town.follower.has_caught_up = True
    await publish_all(town)
    assert await published(town, 1) != []


async def test_what_could_not_be_published_is_published_later(town: Town) -> None:
    await town.views(VIEWS)
    town.shelves.is_away = True
    await publish_all(town)
    town.shelves.is_away = False
    async with proxy_to("127.0.0.1", 9) as proxy:
        client = open_redis(f"redis://127.0.0.1:{proxy.port}/0")
        away, town.publisher._published = town.publisher._published, Published(client, PREFIX)
        await publish_all(town)
        with pytest.raises(LogUnavailable):
            await town.publisher._published.read(id_of(1), 5)
        town.publisher._published = away
        await client.aclose()
    assert await published(town, 1) == []
    await publish_all(town)
    assert {number for number in (1, 2, 3) if await published(town, number)} == {1, 2, 3}


async def test_a_shard_publishes_by_itself_a_second_after_a_view(town: Town) -> None:
    await town.views({"anna": [1, 2]})

    async def is_published() -> bool:
        return await published(town, 1) != []

    town.router.ref(KIND, str(shard_of(1))).tell(Tick())
    await until(is_published)


async def test_the_time_is_written_so_that_anybody_can_read_it(town: Town, redis: Redis) -> None:
    at = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    await town.published.write({id_of(1): [(id_of(2), 0.5)]}, at)
    written = await redis.hget(f"{PREFIX}answers:{id_of(1)}", "generated_at")
    assert written == b"2026-11-21T09:00:00+00:00"
