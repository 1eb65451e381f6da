"""What counts as a view is decided in Redis, in one go, whoever asks."""

import asyncio
from uuid import UUID

import pytest
from redis.asyncio import Redis

from kefu.recommendations.messages import Join, View
from kefu.recommendations.ports import LogUnavailable
from kefu.recommendations.shards import SHARDS, shard_of
from kefu.recommendations.stream import (
    REMEMBERED_S,
    SNAPSHOT_LIVES_S,
    START,
    STREAMS,
    ViewLog,
    order,
)
from kefu.recommendations.views import unpacked
from kefu.storage.redis import open_redis
from tests.fakes.clock import HandClock
from tests.fakes.proxy import proxy_to
from tests.recommendations.town import PREFIX, viewer

ANNA, BEN = viewer("anna"), viewer("ben")
STREAM = f"{PREFIX}views:3"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def log(redis: Redis, clock: HandClock) -> ViewLog:
    return ViewLog(redis, PREFIX, clock, 5)


def views(*numbers: int, by: UUID = ANNA) -> list[View]:
    return [View(by, number, 1_800_000_000) for number in numbers]


async def logged(log: ViewLog) -> list[tuple[int, int]]:
    """Products with their times, in the order of the log."""
    portions, _ = await log.read({})
    rows = [row for portion in portions for row in unpacked(portion.views).tolist()]
    return [(product, at) for _, _, product, at in rows]


async def test_a_view_counts_once_a_day_for_each_viewer(log: ViewLog, redis: Redis) -> None:
    assert await log.record(3, views(7, 7, 8)) == ["recorded", "seen_today", "recorded"]
    assert await log.record(3, views(7)) == ["seen_today"]
    assert await log.record(3, views(7, by=BEN)) == ["recorded"]
    assert await logged(log) == [(number, 1_800_000_000) for number in (7, 8, 7)]
    remembered = await redis.ttl(f"{PREFIX}seen:{ANNA.hex}:7")
    assert REMEMBERED_S - 5 <= remembered <= REMEMBERED_S
    await redis.delete(f"{PREFIX}seen:{ANNA.hex}:7")  # as the day's end does
    assert await log.record(3, views(7)) == ["recorded"]


async def test_the_views_of_one_call_are_one_entry(log: ViewLog, redis: Redis) -> None:
    await log.record(3, views(1, 2, 3))
    await log.record(3, views(1, 2, 3))
    assert await redis.xlen(STREAM) == 1
    ((_, fields),) = await redis.xrange(STREAM)
    assert {name: len(value) for name, value in fields.items()} == {b"views": 3 * 24}


async def test_one_viewer_has_so_many_views_a_minute_over_all_shards(
    log: ViewLog, clock: HandClock
) -> None:
    assert await log.record(3, views(1, 2, 3)) == ["recorded"] * 3
    assert await log.record(4, views(4, 5, 6, 7)) == [*["recorded"] * 2, *["too_many"] * 2]
    assert await log.record(4, views(6, by=BEN)) == ["recorded"]
    clock.advance(60)
    assert await log.record(4, views(6, 4)) == ["recorded", "seen_today"]


async def test_what_was_seen_already_does_not_use_up_the_minute(log: ViewLog) -> None:
    outcomes = await log.record(3, views(1, *[1] * 20, 2, 3, 4, 5, 6))
    assert outcomes[-2:] == ["recorded", "too_many"]


async def test_nothing_but_what_counts_stays_in_redis(log: ViewLog, redis: Redis) -> None:
    await log.record(3, views(*range(9)))
    keys = {key.decode() for key in await redis.keys(f"{PREFIX}*")}
    assert len([key for key in keys if ":seen:" in key]) == 5
    assert all(key.startswith(PREFIX) for key in keys)
    ttls = {key: await redis.ttl(key) for key in keys if not key.endswith("views:3")}
    assert min(ttls.values()) > 0


async def test_of_twenty_at_once_one_counts(log: ViewLog) -> None:
    answers = await asyncio.gather(*(log.record(3, views(7)) for _ in range(20)))
    assert sum(outcomes == ["recorded"] for outcomes in answers) == 1
    assert len(await logged(log)) == 1


async def test_a_guest_is_joined_once(log: ViewLog, redis: Redis) -> None:
    assert await log.join(2, Join(ANNA, BEN))
    assert not await log.join(2, Join(ANNA, BEN))
    (portion,), has_more = await log.read({})
    assert (portion.joins, portion.views, has_more) == (
        (ANNA.bytes + BEN.bytes + b"\0",),
        b"",
        False,
    )
    assert await redis.ttl(f"{PREFIX}joined:{ANNA.hex}") > 29 * 24 * 3600


async def test_what_is_no_view_in_the_log_is_passed_over(log: ViewLog, redis: Redis) -> None:
    for fields in ({"views": "short"}, {"join": "x"}, {"else": "x" * 24}):
        await redis.xadd(STREAM, fields)
    await log.record(3, views(7))
    (portion,), _ = await log.read({})
    assert (len(unpacked(portion.views)), portion.joins) == (1, ())


async def test_the_log_is_read_in_portions(log: ViewLog, redis: Redis) -> None:
    for number in range(130):
        await log.record(shard_of(number), views(number, by=viewer(str(number))))
        await log.record(9, views(number, by=viewer(f"other {number}")))
    positions, found, is_all = {}, 0, False
    while not is_all:
        portions, has_more = await log.read(positions)
        is_all = not has_more
        for portion in portions:
            positions[portion.stream] = portion.last_id
            found += len(unpacked(portion.views))
    assert found == 260
    assert positions == {
        stream: head for stream, head in (await log.heads()).items() if head != START
    }


async def test_without_redis_nothing_is_acknowledged(clock: HandClock) -> None:
    async with proxy_to("127.0.0.1", 9) as proxy:
        client = open_redis(f"redis://127.0.0.1:{proxy.port}/0")
        log = ViewLog(client, PREFIX, clock, 5)
        for refused in (
            log.record(3, views(1)),
            log.join(1, Join(ANNA, BEN)),
            log.read({}),
            log.trim(0),
        ):
            with pytest.raises(LogUnavailable):
                await refused
        await client.aclose()


# --- trimming -------------------------------------------------------------------------------------


async def entries(redis: Redis, count: int) -> list[str]:
    """Ids of new entries of shard 3, one at a time."""
    ids = [await redis.xadd(STREAM, {"views": "x" * 24}) for _ in range(count)]
    return [id.decode() for id in ids]


async def test_only_what_every_living_snapshot_has_is_dropped(
    log: ViewLog, redis: Redis, clock: HandClock
) -> None:
    ids = await entries(redis, 1000)
    await log.note_snapshot("one", {"views:3": ids[800]})
    await log.note_snapshot("two", {"views:3": ids[400], "views:4": "5-0"})
    dropped = await log.trim(3)
    assert 300 <= dropped <= 400  # whole nodes of the stream go
    assert order((await redis.xrange(STREAM, count=1))[0][0].decode()) <= order(ids[400])
    assert await log.trim(3) == 0

    await log.note_snapshot("two", {"views:4": "5-0"})  # says nothing of this shard
    assert await log.trim(3) == 0
    clock.advance(SNAPSHOT_LIVES_S - 1)
    await log.note_snapshot("one", {"views:3": ids[800]})
    assert await log.trim(3) == 0
    clock.advance(2)  # nobody has heard of the other instance for a week
    assert await log.trim(3) >= 300
    assert order((await redis.xrange(STREAM, count=1))[0][0].decode()) <= order(ids[800])


async def test_a_snapshot_nobody_understands_keeps_everything(log: ViewLog, redis: Redis) -> None:
    ids = await entries(redis, 300)
    await log.note_snapshot("one", {"views:3": ids[-1]})
    await redis.hset(f"{PREFIX}snapshots", "two", "not msgpack")
    assert await log.trim(3) == 0


async def test_without_snapshots_a_day_is_kept(log: ViewLog, redis: Redis) -> None:
    server_ms = (await redis.time())[0] * 1000
    clock = HandClock()
    clock.skew_s = server_ms / 1000 - clock.now().timestamp()
    log = ViewLog(redis, PREFIX, clock, 5)
    day_ms = REMEMBERED_S * 1000
    for number in range(300):
        await redis.xadd(
            STREAM, {"views": "x" * 24}, id=f"{server_ms - day_ms - 600_000 + number}-0"
        )
    for number in range(300):
        await redis.xadd(
            STREAM, {"views": "x" * 24}, id=f"{server_ms - day_ms + 600_000 + number}-0"
        )
    assert await log.trim(3) == 300
    assert await redis.xlen(STREAM) == 300


def test_there_is_a_stream_for_each_shard() -> None:
    assert len(STREAMS) == SHARDS
    assert {shard_of(number) for number in range(500)} == set(range(SHARDS))
