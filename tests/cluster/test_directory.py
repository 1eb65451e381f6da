"""The directory on a real Valkey: who lives, who owns what, and one winner only."""

import asyncio
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from kefu.cluster.directory import ANSWER_WITHIN_S, RedisDirectory
from kefu.cluster.placement import SLOT_COUNT
from kefu.cluster.ports import BusUnavailable, Member
from kefu.storage.embedded import Stores
from kefu.storage.redis import open_redis
from tests.fakes.proxy import proxy_to
from tests.until import until

A, B, C = Member("a"), Member("b", 2.0, "9.1"), Member("c")
SHORT_S = 0.15


@pytest.fixture
def prefix() -> str:
    return f"{{test-{uuid4().hex}}}:"


@pytest.fixture
def directory(redis: Redis, prefix: str) -> RedisDirectory:
    return RedisDirectory(redis, prefix)


@pytest.fixture
def hasty(redis: Redis, prefix: str) -> RedisDirectory:
    """The same directory with a lease that ends soon."""
    return RedisDirectory(redis, prefix, lease_s=SHORT_S)


async def owners(directory: RedisDirectory, me: str = "a") -> dict[int, str]:
    view = await directory.beat(me, A, -1)
    assert view.owners is not None
    return dict(view.owners)


async def version(directory: RedisDirectory) -> int:
    return (await directory.beat("a", A, -1)).version


async def test_whoever_beats_is_a_member_as_described(directory: RedisDirectory) -> None:
    await directory.beat("a", A, -1)
    assert (await directory.beat("b", B, -1)).members == {"a": A, "b": B}


async def test_a_member_that_describes_itself_anew_is_seen_so(directory: RedisDirectory) -> None:
    await directory.beat("a", A, -1)
    leaving = Member("a", 0.0)
    assert (await directory.beat("a", leaving, -1)).members == {"a": leaving}


async def test_a_member_of_another_version_is_there_all_the_same(
    directory: RedisDirectory, redis: Redis, prefix: str
) -> None:
    await directory.beat("b", B, -1)
    await redis.hset(prefix + "members", "b", b"another shape")
    assert (await directory.beat("a", A, -1)).members == {"a": A, "b": Member("b")}


async def test_whoever_is_silent_for_the_lease_is_dead(hasty: RedisDirectory) -> None:
    await hasty.beat("b", B, -1)

    async def is_dead() -> bool:
        return "b" not in (await hasty.beat("a", A, -1)).members

    assert not await is_dead()
    await until(is_dead, within_s=2)


async def test_a_free_slot_is_taken_once(directory: RedisDirectory) -> None:
    await directory.beat("a", A, -1)
    await directory.beat("b", B, -1)
    assert await directory.acquire("a", [1, 2], ()) == (1, 2)
    assert await directory.acquire("b", [2, 3], ()) == (3,)
    assert await owners(directory) == {1: "a", 2: "a", 3: "b"}


async def test_of_two_who_take_at_once_exactly_one_wins(directory: RedisDirectory) -> None:
    await directory.beat("a", A, -1)
    await directory.beat("b", B, -1)
    slots = range(SLOT_COUNT)
    taken = await asyncio.gather(
        *(
            directory.acquire(name, slots[part : part + 100], ())
            for part in range(0, SLOT_COUNT, 100)
            for name in ("a", "b")
        )
    )
    assert sorted(slot for part in taken for slot in part) == list(slots)


async def test_what_is_mine_stays_mine(directory: RedisDirectory) -> None:
    await directory.beat("a", A, -1)
    await directory.acquire("a", [1], ())
    assert await directory.acquire("a", [1], ()) == (1,)


async def test_the_slots_of_the_dead_are_free(hasty: RedisDirectory) -> None:
    await hasty.beat("b", B, -1)
    await hasty.acquire("b", [1], ())

    async def is_taken() -> bool:
        await hasty.beat("a", A, -1)
        return await hasty.acquire("a", [1], ()) == (1,)

    assert not await is_taken()
    await until(is_taken, within_s=2)


async def test_whoever_is_said_to_be_gone_loses_its_slots_at_once(
    directory: RedisDirectory,
) -> None:
    await directory.beat("b", B, -1)
    await directory.beat("c", C, -1)
    await directory.acquire("b", [1], ())
    await directory.acquire("c", [2], ())
    assert await directory.acquire("a", [1, 2], ("b",)) == (1,)


async def test_whoever_leaves_is_no_member_and_its_slots_are_free(
    directory: RedisDirectory,
) -> None:
    await directory.beat("a", A, -1)
    await directory.beat("b", B, -1)
    await directory.acquire("b", [1], ())
    await directory.leave("b")
    assert (await directory.beat("a", A, -1)).members == {"a": A}
    assert await directory.acquire("a", [1], ()) == (1,)


async def test_only_what_is_mine_can_be_handed_over(directory: RedisDirectory) -> None:
    await directory.beat("a", A, -1)
    await directory.beat("b", B, -1)
    await directory.acquire("a", [1], ())
    await directory.acquire("b", [2], ())
    await directory.hand_over("a", {1: "b", 2: "a"})
    assert await owners(directory) == {1: "b", 2: "b"}


async def test_what_is_given_away_may_have_been_forgotten(directory: RedisDirectory) -> None:
    await directory.hand_over("a", {3: "b"})
    assert await owners(directory) == {3: "b"}


async def test_owners_are_told_only_when_they_have_changed(directory: RedisDirectory) -> None:
    first = await directory.beat("a", A, -1)
    assert first.owners == {}
    assert (await directory.beat("a", A, first.version)).owners is None
    await directory.acquire("a", [1], ())
    second = await directory.beat("a", A, first.version)
    assert second.owners == {1: "a"}
    assert second.version != first.version


async def test_the_version_changes_with_the_owners_and_not_else(directory: RedisDirectory) -> None:
    await directory.beat("b", B, -1)
    seen = [await version(directory)]
    await directory.beat("b", B, seen[0])
    seen.append(await version(directory))
    assert seen[0] == seen[1]

    await directory.acquire("a", [1], ())
    seen.append(await version(directory))
    assert await directory.acquire("b", [1], ()) == ()
    seen.append(await version(directory))
    assert seen[2] == seen[3] != seen[1]

    await directory.hand_over("a", {1: "b"})
    seen.append(await version(directory))
    assert seen[4] != seen[3]


async def test_after_a_flush_the_version_is_another_and_nobody_owns_anything(
    directory: RedisDirectory, redis: Redis
) -> None:
    await directory.beat("a", A, -1)
    for slot in range(5):
        await directory.acquire("a", [slot], ())
    known = await version(directory)

    async def has_time_passed() -> bool:
        seconds, microseconds = await redis.time()
        return seconds * 1000 + microseconds // 1000 > known

    await until(has_time_passed)  # the numbers are milliseconds plus changes
    await redis.flushdb()
    assert await owners(directory) == {}
    for slot in range(5):
        assert await directory.acquire("a", [slot], ()) == (slot,)
    assert await version(directory) > known, "as many changes as before, and another number"


async def test_what_a_failover_has_lost_does_not_share_its_version_with_what_follows(
    directory: RedisDirectory, redis: Redis
) -> None:
    await directory.beat("a", A, -1)
    await directory.acquire("a", [1], ())
    kept = {key: await redis.dump(key) for key in await redis.keys("*")}
    await directory.acquire("a", [2], ())
    lost = await version(directory)

    async def has_time_passed() -> bool:
        seconds, microseconds = await redis.time()
        return seconds * 1000 + microseconds // 1000 > lost

    await until(has_time_passed)
    for key, value in kept.items():
        await redis.restore(key, 0, value, replace=True)
    await directory.acquire("a", [3], ())
    assert await version(directory) > lost, "as many changes as before, and another number"


async def test_scripts_are_loaded_again_after_a_restart(
    directory: RedisDirectory, redis: Redis
) -> None:
    await directory.beat("a", A, -1)
    await redis.script_flush()
    assert (await directory.beat("a", A, -1)).members == {"a": A}


async def test_two_deployments_on_one_redis_do_not_see_each_other(
    directory: RedisDirectory, redis: Redis
) -> None:
    other = RedisDirectory(redis, "{other}:")
    await directory.beat("a", A, -1)
    await directory.acquire("a", [1], ())
    assert (await other.beat("b", B, -1)).members == {"b": B}
    assert await other.acquire("b", [1], ()) == (1,)


async def test_a_redis_that_says_nothing_is_given_up_in_time(stores: Stores, prefix: str) -> None:
    path = stores.redis_url.removeprefix("unix://").partition("?")[0]
    async with proxy_to(path) as proxy:
        client = open_redis(f"redis://127.0.0.1:{proxy.port}")
        through = RedisDirectory(client, prefix)
        await through.beat("a", A, -1)
        proxy.is_silent = True
        began = asyncio.get_running_loop().time()
        with pytest.raises(BusUnavailable):
            await through.beat("a", A, -1)
        assert asyncio.get_running_loop().time() - began < ANSWER_WITHIN_S + 0.5
        proxy.is_silent = False
        await client.aclose()


async def test_a_redis_that_is_not_there_is_an_error_at_once(prefix: str) -> None:
    client = open_redis("redis://127.0.0.1:1")
    with pytest.raises(BusUnavailable):
        await RedisDirectory(client, prefix).beat("a", A, -1)
    await client.aclose()
