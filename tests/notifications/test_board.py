"""Each alert is told once, however many instances see it; real Redis, and what is left without."""

from contextlib import suppress

import anyio
import pytest
from redis.asyncio import Redis

from kefu.notifications.board import SEEN_S, Board
from kefu.storage.redis import open_redis
from tests.fakes.clock import HandClock

REPEAT_S = 900.0


def boards(redis: Redis, count: int = 3) -> list[Board]:
    """Several instances."""
    return [Board(redis, HandClock(), REPEAT_S) for _ in range(count)]


async def unseen(redis: Redis) -> None:
    """Redis has a clock of its own: that it would forget is seen, and done by hand."""
    assert 0 < await redis.pttl("alert:waiting:seen") <= SEEN_S * 1000
    await redis.delete("alert:waiting:seen")


async def test_one_of_many_tells(redis: Redis) -> None:
    told: list[bool] = []

    async def see(board: Board) -> None:
        told.append(await board.is_ours_to_tell("waiting"))

    many = boards(redis, 20)
    for _ in range(3):
        async with anyio.create_task_group() as tasks:
            for board in many:
                tasks.start_soon(see, board)
    assert (len(told), sum(told)) == (60, 1)


async def test_kinds_do_not_hush_each_other(redis: Redis) -> None:
    (board,) = boards(redis, 1)
    assert await board.is_ours_to_tell("waiting")
    assert await board.is_ours_to_tell("errors")


async def test_it_is_told_again_when_it_lasts(redis: Redis) -> None:
    clock = HandClock()
    board = Board(redis, clock, REPEAT_S)
    assert await board.is_ours_to_tell("waiting")
    left_ms = await redis.pttl("alert:waiting:quiet")
    assert REPEAT_S * 1000 < left_ms <= (REPEAT_S + 1) * 1000
    await redis.delete("alert:waiting:quiet")
    clock.advance(REPEAT_S)
    assert await board.is_ours_to_tell("waiting")


async def test_one_of_many_says_that_it_is_over(redis: Redis) -> None:
    first, second, third = boards(redis)
    assert await first.is_ours_to_tell("waiting")
    assert not await second.is_ours_to_clear("waiting")
    await unseen(redis)
    assert await third.is_ours_to_clear("waiting")
    assert not await second.is_ours_to_clear("waiting")
    assert not await third.is_ours_to_clear("waiting")


async def test_what_was_never_told_is_never_over(redis: Redis) -> None:
    (board,) = boards(redis, 1)
    assert not await board.is_ours_to_clear("waiting")


async def test_what_comes_and_goes_is_told_once_and_cleared_once(redis: Redis) -> None:
    clock = HandClock()
    board = Board(redis, clock, REPEAT_S)
    said = []
    for _ in range(4):
        said.append(("on", await board.is_ours_to_tell("waiting")))
        await unseen(redis)
        clock.advance(SEEN_S)
        said.append(("off", await board.is_ours_to_clear("waiting")))
    assert [each for each in said if each[1]] == [("on", True), ("off", True)]


async def test_a_flushed_redis_does_not_make_us_repeat_ourselves(redis: Redis) -> None:
    (board,) = boards(redis, 1)
    assert await board.is_ours_to_tell("waiting")
    await redis.flushdb()
    assert not await board.is_ours_to_tell("waiting")


@pytest.fixture
def nowhere() -> Redis:
    return open_redis("redis://127.0.0.1:1/0")


async def test_without_redis_each_instance_tells_once(nowhere: Redis) -> None:
    clock = HandClock()
    board = Board(nowhere, clock, REPEAT_S)
    assert not await board.is_ours_to_clear("waiting")
    assert await board.is_ours_to_tell("waiting")
    assert not await board.is_ours_to_tell("waiting")
    assert not await board.is_ours_to_clear("waiting")
    clock.advance(60)
    assert await board.is_ours_to_clear("waiting")
    assert not await board.is_ours_to_clear("waiting")
    assert not await board.is_ours_to_tell("waiting")
    clock.advance(REPEAT_S)
    assert await board.is_ours_to_tell("waiting")
    await nowhere.aclose()


async def test_what_a_neighbour_told_is_remembered_when_redis_goes(redis: Redis) -> None:
    first, second, _ = boards(redis)
    assert await first.is_ours_to_tell("waiting")
    assert not await second.is_ours_to_tell("waiting")
    with suppress(Exception):
        await redis.connection_pool.disconnect()
    redis.connection_pool = open_redis("redis://127.0.0.1:1/0").connection_pool
    assert not await second.is_ours_to_tell("waiting")
    assert not await first.is_ours_to_tell("waiting")
