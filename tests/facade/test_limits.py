"""Streams and calls are counted over all instances, and never without a limit."""

import asyncio
import gc
from contextlib import AsyncExitStack
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisGone

from actors.simulation import SimulationLoop
from kefu.clock import SystemClock
from kefu.errors import Problem
from kefu.gateway import stream_limits
from kefu.gateway.facade.call_rates import CallRates
from kefu.gateway.stream_limits import Limits, StreamLimits
from kefu.storage.redis_calls import RedisCalls
from protocol.codes import ErrorCode
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.until import until

PREFIX = "{test}:"
KEY = f"{PREFIX}streams:person:p"


def instance(redis: "Redis", seed: int, **limits: int) -> StreamLimits:
    return StreamLimits(RedisCalls(redis), PREFIX, Limits(**limits), SeededEntropy(seed))


async def refusal(streams: StreamLimits, person: str = "p") -> ErrorCode:
    with pytest.raises(Problem) as caught:
        async with streams.stream(streams.of_person(person)):
            pass
    assert caught.value.retry_after_s is not None
    return caught.value.code


async def test_a_person_has_three_on_all_instances_together(redis: "Redis") -> None:
    here, there = instance(redis, 1), instance(redis, 2)
    async with AsyncExitStack() as stack:
        for streams in (here, there, here):
            await stack.enter_async_context(streams.stream(streams.of_person("p")))
        assert await refusal(here) == await refusal(there) == ErrorCode.RATE_LIMITED
        async with there.stream(there.of_person("q")), there.stream(there.of_address("p")):
            assert there.count == 3
    assert (here.count, there.count) == (0, 0)
    assert await redis.keys(f"{PREFIX}*") == []
    async with here.stream(here.of_person("p")):
        pass


async def test_of_many_at_once_no_more_than_three_come_in(redis: "Redis") -> None:
    instances = [instance(redis, seed) for seed in range(4)]
    outcomes: list[bool] = []
    leave = asyncio.Event()

    async def come(streams: StreamLimits) -> None:
        try:
            async with streams.stream(streams.of_person("p")):
                outcomes.append(True)
                await leave.wait()
        except Problem:
            outcomes.append(False)

    coming = [asyncio.ensure_future(come(instances[number % 4])) for number in range(40)]
    await until(lambda: len(outcomes) == 40)
    assert outcomes.count(True) == 3
    leave.set()
    await asyncio.gather(*coming)
    assert sum(streams.count for streams in instances) == 0


async def test_what_a_killed_instance_held_is_free_again(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_limits, "LEASE_S", 1.5)
    here, dead = instance(redis, 1), instance(redis, 2)
    for number in range(3):
        assert await dead._told(
            dead._ask(stream_limits.ENTER, dead.of_person("p"), f"s{number}", 3)
        )
    assert await refusal(here) is ErrorCode.RATE_LIMITED

    async def is_free() -> bool:
        try:
            async with here.stream(here.of_person("p")):
                return True
        except Problem:
            return False

    await until(is_free)


async def test_a_stream_that_stays_is_counted_as_long_as_it_stays(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_limits, "LEASE_S", 1.0)
    monkeypatch.setattr(stream_limits, "REFRESH_S", 0.1)
    here, there = instance(redis, 1, person=1), instance(redis, 2, person=1)
    async with here.stream(here.of_person("p")):
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - began < 2.5:
            assert await refusal(there) is ErrorCode.RATE_LIMITED
        await redis.flushdb()  # what is forgotten is counted again
        await until(lambda: _is_there(redis))
        assert await refusal(there) is ErrorCode.RATE_LIMITED


async def _is_there(redis: "Redis") -> bool:
    return bool(await redis.exists(KEY))


async def test_a_thousand_comings_and_goings_leave_nothing(redis: "Redis") -> None:
    streams = instance(redis, 1)

    async def come_and_go(number: int) -> None:
        for _ in range(50):
            async with streams.stream(streams.of_person(f"p{number}")):
                await asyncio.sleep(0)

    async def be_cancelled(number: int) -> None:
        async with streams.stream(streams.of_person(f"p{number}")):
            await asyncio.Event().wait()

    await asyncio.gather(*(come_and_go(number) for number in range(20)))
    cancelled = [asyncio.ensure_future(be_cancelled(number)) for number in range(100)]
    await until(lambda: is_counted(redis, 100))
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
    assert streams.count == 0
    assert streams._here == {}
    assert await redis.keys(f"{PREFIX}*") == []


async def is_counted(redis: "Redis", count: int) -> bool:
    return len(await redis.keys(f"{PREFIX}*")) == count


async def test_a_stream_given_up_before_the_answer_is_counted_nowhere(redis: "Redis") -> None:
    streams = instance(redis, 1)
    for steps in range(20):
        async with streams.hold(streams.of_person("p")):
            for _ in range(steps):
                await asyncio.sleep(0)
        assert await redis.keys(f"{PREFIX}*") == []
    assert streams.count == 0


class Gone:
    """A Redis that does not answer."""

    @property
    def connection_pool(self) -> "Gone":
        return self

    async def get_connection(self) -> None:
        raise RedisGone


async def test_while_redis_is_away_each_instance_counts_its_own() -> None:
    streams = instance(cast("Redis", Gone()), 1)
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(streams.stream(streams.of_person("p")))
        assert await refusal(streams) is ErrorCode.RATE_LIMITED
    assert streams.count == 0


async def test_an_answer_nobody_waits_for_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    streams = instance(cast("Redis", Gone()), 1)
    async with streams.hold(streams.of_person("p")):
        for _ in range(5):
            await asyncio.sleep(0)
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_redis_that_hangs_holds_nobody_up_for_long() -> None:
    class Hanging(Gone):
        async def get_connection(self) -> None:
            await asyncio.Event().wait()

    async def story() -> float:
        streams = instance(cast("Redis", Hanging()), 1)
        began = asyncio.get_running_loop().time()
        async with streams.stream(streams.of_person("p")):
            return asyncio.get_running_loop().time() - began

    def play() -> float:
        with asyncio.Runner(loop_factory=SimulationLoop) as runner:
            return runner.run(story())

    assert await asyncio.to_thread(play) == stream_limits.ANSWER_WITHIN_S


async def test_an_instance_holds_so_many_and_no_more(redis: "Redis") -> None:
    streams = instance(redis, 1, instance=2)
    async with AsyncExitStack() as stack:
        for person in ("a", "b"):
            await stack.enter_async_context(streams.stream(streams.of_person(person)))
        assert await refusal(streams, "c") is ErrorCode.OVERLOADED
    async with streams.stream(streams.of_person("c")):
        pass


async def test_calls_of_an_address_are_counted_on_all_instances(redis: "Redis") -> None:
    here, there = (CallRates(RedisCalls(redis), PREFIX, HandClock(), 6) for _ in range(2))
    for number in range(6):
        await (here, there)[number % 2].check("a")
    with pytest.raises(Problem) as caught:
        await there.check("a")
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert 0 < (caught.value.retry_after_s or 0) <= 10
    await here.check("b")


async def test_calls_refill_with_time(redis: "Redis") -> None:
    rates = CallRates(RedisCalls(redis), PREFIX, SystemClock(), 6000)

    async def is_let_in() -> bool:
        try:
            await rates.check("a")
        except Problem:
            return False
        return True

    await rates.check("a", 6000)  # all at once
    await until(is_let_in)


async def test_whoever_was_refused_just_now_is_refused_without_asking(redis: "Redis") -> None:
    clock = HandClock()
    rates = CallRates(RedisCalls(redis), PREFIX, clock, 6)
    await rates.check("a", 6)
    with pytest.raises(Problem) as caught:
        await rates.check("a")
    await redis.flushdb()
    with pytest.raises(Problem):
        rates.begin("a")  # at once, before anything is looked up
    await rates.check("b")
    clock.advance(caught.value.retry_after_s or 0)
    await rates.check("a")


async def test_without_redis_calls_are_counted_here() -> None:
    clock = HandClock()
    rates = CallRates(RedisCalls(cast("Redis", Gone())), PREFIX, clock, 60)
    for _ in range(60):
        await rates.check("a")
    with pytest.raises(Problem):
        await rates.check("a")
    clock.advance(1)
    await rates.check("a")
