"""How many streams of events one person, or one address, may have open on all instances together.

Redis keeps a sorted set of streams a person, each with the time at which it counts no more unless
its instance says again that it is there: what a killed instance held is free again soon. While
Redis is away each instance counts its own streams: never unlimited.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import anyio
from msgspec import Struct
from redis.exceptions import RedisError

from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.storage.redis_calls import RedisCalls, Script
from protocol.codes import ErrorCode

LEASE_S: Final = 75.0
REFRESH_S: Final = 25.0
ANSWER_WITHIN_S: Final = 1.0
TOO_MANY: Final = "Too many concurrent connections"
FULL: Final = "kefu holds as many streams as it can; please try again."
RETRY_S: Final = (2.0, 8.0)
Admitted = Callable[[], Awaitable[None]]
Answer = asyncio.Future[Any]
log = logging.getLogger("kefu.gateway")

# Redis's own clock counts. KEYS: the person's streams. ARGV: stream, lease_ms, limit
_CLOCK: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
ENTER: Final = Script(
    _CLOCK
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)
# ARGV: stream, lease_ms
STAY: Final = Script(
    _CLOCK
    + """
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)


class Limits(Struct, frozen=True):
    """`person` and `address` on all instances together, `instance` on this one."""

    person: int = 3
    address: int = 30
    instance: int = 1000


class StreamLimits:
    """`prefix` begins every key. Who is counted is named by the caller."""

    def __init__(self, redis: RedisCalls, prefix: str, limits: Limits, entropy: Entropy) -> None:
        self._redis = redis
        self._prefix = prefix
        self._limits = limits
        self._entropy = entropy
        self._here: dict[str, set[str]] = {}
        """This instance's streams by who holds them."""
        self.count = 0

    def of_person(self, person: str) -> "Allowance":
        return Allowance(f"person:{person}", self._limits.person)

    def of_address(self, address: str) -> "Allowance":
        """For those who have no name to be counted by."""
        return Allowance(f"address:{address}", self._limits.address)

    @asynccontextmanager
    async def stream(self, allowance: "Allowance") -> AsyncIterator[None]:
        """Hold one stream for as long as the block takes.

        Raises Problem: RATE_LIMITED beyond the allowance, OVERLOADED where this instance is full.
        """
        async with self.hold(allowance) as admitted:
            await admitted()
            yield

    @asynccontextmanager
    async def hold(self, allowance: "Allowance") -> AsyncIterator[Admitted]:
        """`stream` in two parts: the other instances are asked while the block begins. What is
        yielded waits for their answer; the stream must not be used before. Both raise Problem."""
        if self.count >= self._limits.instance:
            raise Problem(ErrorCode.OVERLOADED, FULL, retry_after_s=self._retry_s())
        self.count += 1
        id = self._entropy.token(12)
        try:
            with self._counted_here(allowance, id):
                entering = self._ask(ENTER, allowance, id, allowance.limit)
                refreshing = asyncio.get_running_loop().create_task(self._refresh(allowance, id))
                try:
                    yield partial(self._judge, entering)
                finally:
                    refreshing.cancel()
                    _forget(entering)
                    await self._leave(allowance, id)
        finally:
            self.count -= 1

    @contextmanager
    def _counted_here(self, allowance: "Allowance", id: str) -> Iterator[None]:
        """Before Redis is asked: what comes at once is counted at once."""
        here = self._here.setdefault(allowance.who, set())
        try:
            if len(here) >= allowance.limit:
                raise self._too_many()
            here.add(id)
            yield
        finally:
            here.discard(id)
            if not here and self._here.get(allowance.who) is here:
                del self._here[allowance.who]

    async def _judge(self, entering: Answer) -> None:
        if not await self._told(entering):
            raise self._too_many()

    async def _refresh(self, allowance: "Allowance", id: str) -> None:
        """For ever: say that the stream is still there. What Redis forgot is counted again."""
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._told(self._ask(STAY, allowance, id))

    def _ask(self, script: Script, allowance: "Allowance", id: str, *more: int) -> Answer:
        keys, lease_ms = [self._key(allowance)], int(LEASE_S * 1000)
        return self._redis.begin(script, keys, [id, lease_ms, *more])

    async def _told(self, answer: Answer) -> bool:
        """What Redis says; while it is away it refuses nobody, and this instance's count holds."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return bool(await answer)
        except (RedisError, OSError, TimeoutError):
            log.warning("streams_uncounted")
            return True

    async def _leave(self, allowance: "Allowance", id: str) -> None:
        """Also when the stream's task is cancelled."""
        try:
            with anyio.fail_after(ANSWER_WITHIN_S, shield=True):
                await self._redis.command("ZREM", self._key(allowance), id)
        except (RedisError, OSError, TimeoutError):
            log.warning("streams_uncounted")

    def _key(self, allowance: "Allowance") -> str:
        return f"{self._prefix}streams:{allowance.who}"

    def _too_many(self) -> Problem:
        return Problem(ErrorCode.RATE_LIMITED, TOO_MANY, retry_after_s=self._retry_s())

    def _retry_s(self) -> float:
        return self._entropy.random.uniform(*RETRY_S)


def _forget(answer: Answer) -> None:
    """Nobody waits for it any more: what has not been sent is not sent, and it may have failed."""
    if not answer.cancel() and not answer.cancelled():
        answer.exception()


class Allowance(Struct, frozen=True):
    """Who is counted, and how many they may have."""

    who: str
    limit: int
