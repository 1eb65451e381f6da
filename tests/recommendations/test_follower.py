"""Every view reaches every index, whatever becomes of the connection or of Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from redis.asyncio import Redis

from kefu.recommendations.follower import (
    CATCHING_UP_AT_ONCE,
    COMPARE_EVERY_S,
    VIEWS_AT_ONCE,
    Follower,
)
from kefu.recommendations.messages import KIND, Join, Record, View
from kefu.recommendations.shards import shard_of
from kefu.recommendations.stream import START, ViewLog
from kefu.recommendations.turns import Turns
from kefu.storage.embedded import Stores
from kefu.storage.redis import open_redis
from tests.fakes.proxy import Proxy, proxy_to
from tests.recommendations.naive_index import NaiveIndex
from tests.recommendations.town import PREFIX, Town, viewer
from tests.until import until


@asynccontextmanager
async def running(follower: Follower) -> AsyncIterator[None]:
    """In a task group, as in kefu: it cancels until that is heard. redis-py sends in a `wait_for`,
    which in Python 3.11 may swallow a cancellation."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower.run)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def through_proxy(
    town: Town, stores: Stores
) -> AsyncIterator[tuple[Proxy, Follower, NaiveIndex]]:
    """A follower with its own way to Redis, which may be cut."""
    path = stores.redis_url.removeprefix("unix://").partition("?")[0]
    async with proxy_to(path) as proxy:
        client = open_redis(f"redis://127.0.0.1:{proxy.port}/0", read_timeout_s=3)
        log = ViewLog(client, PREFIX, town.clock, 60)
        index = NaiveIndex()
        yield proxy, Follower(log, index, {}, town.clock, town.figures, Turns()), index
        await client.aclose()


async def write(town: Town, name: str, *numbers: int) -> None:
    for number in numbers:
        ref = town.router.ref(KIND, str(shard_of(number)))
        await ref.ask(Record((View(viewer(name), number, number),)), within=5)


async def test_a_view_is_in_the_index_at_once(town: Town) -> None:
    async with running(town.follower):
        await until(lambda: town.follower.has_caught_up)
        await write(town, "anna", 1, 2, 3)
        await until(lambda: len(town.index) == 3)
    assert town.index.history(viewer("anna"), 9) == [3, 2, 1]
    assert town.counted("kefu_views_indexed_total") == 3


async def test_what_was_written_before_the_start_is_read_in_slices_and_then_in_small_ones(
    town: Town,
) -> None:
    views = [View(viewer(str(number)), 7, 0) for number in range(2400)]
    for start in range(0, 2000, 500):
        await town.log.record(shard_of(7), views[start : start + 500])
    await town.catch_up()
    assert (len(town.index), town.follower.has_caught_up) == (2000, True)
    assert town.index.largest_slice == CATCHING_UP_AT_ONCE
    town.index.largest_slice = 0
    await town.log.record(shard_of(7), views[2000:])
    await town.catch_up()
    assert (len(town.index), town.index.largest_slice) == (2400, VIEWS_AT_ONCE)


async def test_a_history_is_in_the_order_of_time_whatever_stream_it_is_in(town: Town) -> None:
    await town.views({"anna": [5, 40, 3, 77, 12, 9]})
    assert town.index.history(viewer("anna"), 9) == [9, 12, 77, 3, 40, 5]


async def test_it_has_not_caught_up_before_it_has_read_everything(town: Town) -> None:
    for number in range(200):
        await write_once(town, number)
    await town.follower.take_in_news()
    assert not town.follower.has_caught_up
    await town.catch_up()
    assert (len(town.index), town.follower.has_caught_up) == (200, True)


async def write_once(town: Town, number: int) -> None:
    await town.log.record(3, [View(viewer(str(number)), 7, 0)])


async def test_a_guest_who_signed_in_is_the_customer(town: Town) -> None:
    await town.views({"guest": [1, 2], "anna": [3]})
    joined = Join(viewer("guest"), viewer("anna"))
    assert await town.router.ref(KIND, "5").ask(joined, within=5)
    await town.views({"guest": [4]})
    assert set(town.index.history(viewer("anna"), 9)) == {1, 2, 3, 4}
    assert town.index.viewers == 1


async def test_positions_are_never_ahead_of_the_index(town: Town) -> None:
    for number in range(100):
        await write_once(town, number)
    seen: list[tuple[int, bool]] = []

    class Watched(NaiveIndex):
        def add(self, views: object) -> int:
            seen.append((len(self), "views:3" in positions))
            return super().add(views)  # type: ignore[arg-type]

    positions: dict[str, str] = {}
    follower = Follower(town.log, Watched(), positions, town.clock, town.figures, Turns())
    await follower.take_in_news()
    assert seen == [(0, False)]
    assert "views:3" in positions


async def test_reading_goes_on_where_the_snapshot_ends(town: Town) -> None:
    await town.views({"anna": [1, 2, 3]})
    kept = dict(town.follower.positions)
    await write(town, "anna", 4)
    later = Follower(town.log, NaiveIndex(), kept, town.clock, town.figures, Turns())
    while await later.take_in_news():
        pass
    assert town.counted("kefu_views_indexed_total") == 4  # three by the first, one by the other


async def test_cut_connections_lose_nothing(town: Town, stores: Stores) -> None:
    async with through_proxy(town, stores) as (proxy, follower, index), running(follower):
        await until(lambda: follower.has_caught_up)
        for number in range(1, 30):
            proxy.lose_answer = number % 7 == 0
            await write(town, "anna", number)
            if number % 5 == 0:
                proxy.cut()
        await until(lambda: len(index) == 29)
    assert town.counted("kefu_views_log_losses_total") > 0


async def test_a_redis_that_is_away_and_returns_is_followed_again(
    town: Town, stores: Stores
) -> None:
    async with through_proxy(town, stores) as (proxy, follower, index), running(follower):
        await until(lambda: follower.has_caught_up)
        proxy.is_refusing = True
        proxy.cut()
        await until(lambda: town.counted("kefu_views_log_losses_total") >= 3)
        await write(town, "anna", 1, 2)
        proxy.is_refusing = False
        await until(lambda: len(index) == 2)


async def test_a_flushed_redis_is_followed_on_and_nothing_is_forgotten(
    town: Town, redis: Redis
) -> None:
    await town.views({"anna": [1, 2], "ben": [1]})
    await redis.flushdb()
    await town.views({"ben": [2]})
    assert len(town.index) == 4
    assert town.index.neighbours(1, 5) == [(2, 1.0)]


async def test_a_server_whose_ids_are_lower_is_read_from_its_start(
    town: Town, redis: Redis
) -> None:
    await town.views({"anna": [1, 2]})
    for number in (1, 2):
        stream = f"views:{shard_of(number)}"
        town.follower.positions[stream] = "9999999999999-5"
    assert len(town.index) == 2
    await write(town, "ben", 1)
    assert not await town.follower.take_in_news()
    town.clock.advance(COMPARE_EVERY_S)
    await town.follower.follow()
    assert town.index.viewer_count(1) == 2


async def test_ids_are_compared_as_numbers(town: Town, redis: Redis) -> None:
    key = f"{PREFIX}views:3"
    await redis.xadd(key, {"views": "x" * 24}, id="100-10")
    town.follower.positions["views:3"] = "100-9"
    town.follower.positions["views:4"] = "100-9"
    await town.follower.compare()
    assert town.follower.positions == {"views:3": "100-9", "views:4": START}
