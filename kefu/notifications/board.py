"""Which alerts have been told, for all instances: in Redis, or in memory while Redis is away.

An alert is told by whoever writes it on the board first, once in `repeat_s`. It is over when no
instance has seen it for a few looks; whoever wipes it off says so. While Redis is away each
instance has only its own board, and some alerts may be told by several.
"""

import asyncio
import logging
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.clock import Clock
from kefu.notifications.state import AlertKind

ANSWER_WITHIN_S: Final = 2.0
SEEN_S: Final = 35.0  # an alert counts as seen for a little more than three looks
LEEWAY_S: Final = 1.0  # so that our own memory never outlasts Redis's
TOLD_S: Final = 7 * 86_400
log = logging.getLogger("kefu.notifications")


class Board:
    def __init__(self, redis: "Redis", clock: Clock, repeat_s: float) -> None:
        self._redis = redis
        self._clock = clock
        self._repeat_s = repeat_s
        self._seen_until: dict[AlertKind, float] = {}
        self._spoken_until: dict[AlertKind, float] = {}  # we told, so long ago that it may be again
        self._heard_until: dict[AlertKind, float] = {}  # so for others, as far as we know
        self._told: set[AlertKind] = set()

    async def is_ours_to_tell(self, kind: AlertKind) -> bool:
        """It is alarming here and now. Whether this instance is to tell the team."""
        now = self._clock.monotonic()
        self._seen_until[kind] = now + SEEN_S
        may_tell = now >= self._spoken_until.get(kind, now)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                is_first = await self._claim(kind)
        except (RedisError, OSError):
            log.warning("alerts_unshared")
            is_first = now >= self._heard_until.get(kind, now)
        if not is_first:
            self._heard_until.setdefault(kind, now + self._repeat_s)
            return False
        if may_tell:  # else Redis has forgotten what we told
            self._heard_until.pop(kind, None)
            self._spoken_until[kind] = now + self._repeat_s
            self._told.add(kind)
        return may_tell

    async def _claim(self, kind: AlertKind) -> bool:
        redis, quiet_ms = self._redis, round((self._repeat_s + LEEWAY_S) * 1000)
        await redis.set(_key(kind, "seen"), 1, px=round(SEEN_S * 1000))
        if not await redis.set(_key(kind, "quiet"), 1, nx=True, px=quiet_ms):
            return False
        await redis.set(_key(kind, "told"), 1, ex=TOLD_S)
        return True

    async def is_ours_to_clear(self, kind: AlertKind) -> bool:
        """All is well here and now. Whether this instance is to say that an alert is over."""
        if self._clock.monotonic() < self._seen_until.get(kind, 0.0):
            return False
        was_told = kind in self._told
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if await self._redis.exists(_key(kind, "seen")):
                    return False
                was_told = bool(await self._redis.delete(_key(kind, "told")))
        except (RedisError, OSError):
            log.warning("alerts_unshared")
        self._told.discard(kind)
        return was_told


def _key(kind: AlertKind, what: str) -> str:
    return f"alert:{kind}:{what}"
