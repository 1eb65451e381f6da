"""Calls that share a round trip: each gets its own answer, and its own error."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from kefu.storage import redis_calls
from kefu.storage.embedded import Stores
from kefu.storage.redis import open_redis
from kefu.storage.redis_calls import RedisCalls, Script
from tests.until import until

ADD = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
WRONG = Script("return redis.call('LPUSH', KEYS[1], 'x')")


class Counted:
    """A client that counts its round trips, and can hold them up."""

    def __init__(self, redis: "Redis") -> None:
        self._pool = redis.connection_pool
        self.connection_pool = self
        self.trips = 0
        self.may_go = asyncio.Event()
        self.may_go.set()

    async def get_connection(self) -> Any:
        self.trips += 1
        await self.may_go.wait()
        return await self._pool.get_connection()

    async def release(self, connection: Any) -> None:
        await self._pool.release(connection)


def counted(redis: "Redis") -> tuple[Counted, RedisCalls]:
    client: Any = Counted(redis)
    return client, RedisCalls(client)


async def test_a_thousand_at_once_share_a_few_round_trips(redis: "Redis") -> None:
    client, calls = counted(redis)
    added = (calls.run(ADD, [f"sum:{n % 10}"], [1]) for n in range(500))
    told = (calls.command("ECHO", str(n)) for n in range(500))
    answers = await asyncio.gather(*added, *told)
    assert sorted(answers[:500]) == sorted(n for n in range(1, 51) for _ in range(10))
    assert answers[500:] == [str(n).encode() for n in range(500)]
    assert client.trips == 1000 / redis_calls.AT_ONCE + 2, (
        "the script was taught once, and repeated"
    )


async def test_what_comes_while_one_is_on_its_way_goes_together(redis: "Redis") -> None:
    client, calls = counted(redis)
    client.may_go.clear()
    first = asyncio.ensure_future(calls.command("ECHO", "first"))
    await asyncio.sleep(0)
    rest = [asyncio.ensure_future(calls.command("ECHO", str(n))) for n in range(9)]
    await asyncio.sleep(0)
    assert client.trips == 1
    client.may_go.set()
    assert await first == b"first"
    assert await asyncio.gather(*rest) == [str(n).encode() for n in range(9)]
    assert client.trips == 2


async def test_what_redis_refuses_is_the_error_of_that_call_alone(redis: "Redis") -> None:
    calls = RedisCalls(redis)
    await redis.set("text", "x")
    refused, right, wrong = await asyncio.gather(
        calls.command("INCR", "text"),
        calls.run(ADD, ["sum"], [2]),
        calls.run(WRONG, ["text"], []),
        return_exceptions=True,
    )
    assert isinstance(refused, ResponseError)
    assert right == 2
    assert isinstance(wrong, ResponseError)


async def test_a_redis_that_forgot_its_scripts_is_taught_them_again(redis: "Redis") -> None:
    calls = RedisCalls(redis)
    assert await calls.run(ADD, ["sum"], [1]) == 1
    await redis.script_flush()
    assert await asyncio.gather(*(calls.run(ADD, ["sum"], [1]) for _ in range(3))) == [2, 3, 4]


async def test_whoever_gives_up_before_their_turn_changes_nothing(redis: "Redis") -> None:
    client, calls = counted(redis)
    client.may_go.clear()
    first = asyncio.ensure_future(calls.run(ADD, ["sum"], [1]))
    await asyncio.sleep(0)
    given_up = asyncio.ensure_future(calls.run(ADD, ["sum"], [10]))
    last = asyncio.ensure_future(calls.run(ADD, ["sum"], [100]))
    await asyncio.sleep(0)
    given_up.cancel()
    client.may_go.set()
    assert (await first, await last) == (1, 101)


async def test_a_redis_that_is_gone_is_an_error_for_each_and_the_next_may_work(
    stores: Stores,
) -> None:
    gone = open_redis("unix:///nowhere/at/all")
    calls = RedisCalls(gone)
    errors = await asyncio.gather(
        *(calls.run(ADD, ["sum"], [1]) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(error, RedisError) for error in errors)
    assert len({id(error) for error in errors}) == 3
    calls._redis = open_redis(stores.redis_url)
    assert await calls.command("ECHO", "back") == b"back"
    await calls._redis.aclose()
    await gone.aclose()


async def test_only_so_many_wait(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_calls, "WAITING", 2)
    client, calls = counted(redis)
    client.may_go.clear()
    asked = [asyncio.ensure_future(calls.command("PING")) for _ in range(3)]
    await asyncio.sleep(0)
    more = [asyncio.ensure_future(calls.command("PING")) for _ in range(3)]
    await asyncio.sleep(0)
    client.may_go.set()
    outcomes = await asyncio.gather(*asked, *more, return_exceptions=True)
    has_failed = [isinstance(each, RedisError) for each in outcomes]
    assert has_failed == [False, False, True, False, False, True]


async def test_whoever_is_cancelled_leaves_no_answers_for_the_next(redis: "Redis") -> None:
    calls = RedisCalls(redis)
    slow = asyncio.ensure_future(calls.command("BLPOP", "nothing", "0"))

    async def is_waiting() -> bool:
        return bool((await redis.info("clients"))["blocked_clients"])

    await until(is_waiting)
    assert calls._sending is not None
    calls._sending.cancel()
    with pytest.raises(RedisError):
        await slow
    assert await calls.command("ECHO", "mine") == b"mine"
