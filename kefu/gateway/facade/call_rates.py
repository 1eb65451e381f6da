"""How often one network address may call without a token, on all instances together.

A bucket in Redis that refills steadily, kept as the one time at which it is full again. While Redis
is away each instance keeps buckets of its own: never unlimited.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Final

from redis.exceptions import RedisError

from kefu.clock import Clock
from kefu.errors import Problem
from kefu.gateway.limits import FrameRates
from kefu.storage.redis_calls import RedisCalls, Script
from protocol.codes import ErrorCode

BURST_S: Final = 60.0
ANSWER_WITHIN_S: Final = 1.0
REFUSED_KEPT: Final = 10_000
log = logging.getLogger("kefu.gateway")

# Answers how many ms to wait, 0 for none. KEYS: the address. ARGV: ms of the calls, burst in ms
TAKE: Final = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + tonumber(ARGV[1])
local wait = full_at - now - tonumber(ARGV[2])
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], full_at, 'PX', math.ceil(full_at - now))
return 0
""")


class CallRates:
    """`per_minute` calls an address, as many of them at once. `prefix` begins every key."""

    def __init__(self, redis: RedisCalls, prefix: str, clock: Clock, per_minute: int) -> None:
        self._redis = redis
        self._prefix = prefix
        self._clock = clock
        self._call_ms = 60_000 / per_minute
        self._here = FrameRates(per_minute / 60, float(per_minute))
        self._refused: OrderedDict[str, float] = OrderedDict()
        """Until when addresses have to wait, by the monotonic clock."""

    async def check(self, address: str, calls: int = 1) -> None:
        """Count a call, or several at once. Raises Problem(RATE_LIMITED) for too many."""
        await self.begin(address, calls)

    def begin(self, address: str, calls: int = 1) -> Coroutine[Any, Any, None]:
        """`check` in two parts: the call is counted while its answer is still on its way, and must
        be awaited. What a call is for can be looked up meanwhile; whoever was refused just now is
        refused here, and costs nobody a look. Raises Problem as `check` then."""
        now = self._clock.monotonic()
        wait_s = self._refused.get(address, 0.0) - now
        if wait_s > 0:
            raise _refusal(wait_s)
        arguments = [self._call_ms * calls, int(BURST_S * 1000)]
        answer = self._redis.begin(TAKE, [f"{self._prefix}calls:{address}"], arguments)
        return self._judge(address, calls, answer)

    async def _judge(self, address: str, calls: int, answer: "asyncio.Future[Any]") -> None:
        wait_s, now = await self._told(answer), self._clock.monotonic()
        if wait_s is None:
            here = self._here.of(address, now)
            wait_s = max(here.take(now) for _ in range(calls))
        if wait_s > 0:
            if calls == 1:
                self._refused[address] = now + wait_s
                if len(self._refused) > REFUSED_KEPT:
                    self._refused.popitem(last=False)
            raise _refusal(wait_s)

    async def _told(self, answer: "asyncio.Future[Any]") -> float | None:
        """What Redis says; None when it does not answer."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return int(await answer) / 1000
        except (RedisError, OSError, TimeoutError):
            log.warning("calls_uncounted")
            return None


def _refusal(wait_s: float) -> Problem:
    return Problem(ErrorCode.RATE_LIMITED, retry_after_s=wait_s)
