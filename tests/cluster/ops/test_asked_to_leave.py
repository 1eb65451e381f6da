"""What an operator reads in the directory and writes into it, on a real Valkey."""

from uuid import uuid4

import pytest
from redis.asyncio import Redis

from kefu.cluster.directory import RedisDirectory
from kefu.cluster.ports import Member

A, B = Member("a", connections=3), Member("b", 0.0)


@pytest.fixture
def directory(redis: Redis) -> RedisDirectory:
    return RedisDirectory(redis, f"{{test-{uuid4().hex}}}:")


async def test_whoever_looks_sees_all_and_is_no_member(directory: RedisDirectory) -> None:
    assert (await directory.look()).members == {}
    await directory.beat("a", A, -1)
    await directory.beat("b", B, -1)
    await directory.acquire("a", [1, 2], ())
    view = await directory.look()
    assert view.members == {"a": A, "b": B}
    assert view.owners == {1: "a", 2: "a"}
    assert (view.members["a"].is_leaving, view.members["b"].is_leaving) == (False, True)
    assert (await directory.beat("a", A, -1)).members.keys() == {"a", "b"}


async def test_the_dead_are_not_seen(redis: Redis) -> None:
    hasty = RedisDirectory(redis, f"{{test-{uuid4().hex}}}:", lease_s=0.0)
    await hasty.beat("a", A, -1)
    assert (await hasty.look()).members == {}
    assert not await hasty.ask_to_leave("a")


async def test_only_who_was_asked_hears_it_and_with_every_beat(directory: RedisDirectory) -> None:
    await directory.beat("a", A, -1)
    await directory.beat("b", B, -1)
    assert await directory.ask_to_leave("a")
    for _ in range(2):
        assert (await directory.beat("a", A, -1)).is_asked_to_leave
        assert not (await directory.beat("b", B, -1)).is_asked_to_leave


async def test_a_wish_is_forgotten_with_whom_it_was_for(
    directory: RedisDirectory, redis: Redis
) -> None:
    await directory.beat("a", A, -1)
    await directory.ask_to_leave("a")
    version = (await directory.beat("a", A, -1)).version
    view = await directory.beat("a", A, version)
    assert (view.owners, view.is_asked_to_leave) == (None, True)
    await directory.leave("a")
    assert not (await directory.beat("a", A, -1)).is_asked_to_leave


async def test_nobody_who_does_not_live_can_be_asked(directory: RedisDirectory) -> None:
    assert not await directory.ask_to_leave("nobody")
