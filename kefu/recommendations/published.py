"""What goes with each product, in Redis: for instances that have not read all views yet.

`similar:<product>` holds products by similarity, `answers:<product>` how and when they were found.
Losing all of it loses nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from redis.asyncio import Redis

from kefu.recommendations.stream import ANSWER_WITHIN_S, answered

KEPT_S: Final = 24 * 3600
Neighbours: TypeAlias = Sequence[tuple[UUID, float]]
"""The best first."""


class Published:
    """Its methods raise LogUnavailable."""

    def __init__(self, redis: "Redis", prefix: str) -> None:
        self._redis: Any = redis
        self._prefix = prefix

    async def write(self, found: Mapping[UUID, Neighbours], at: datetime) -> None:
        """In place of what was there. Each product's all at once: nobody reads half of it."""
        with answered(ANSWER_WITHIN_S):
            async with self._redis.pipeline(transaction=True) as pipe:
                for product_id, neighbours in found.items():
                    self._put(pipe, product_id, neighbours, at)
                await pipe.execute()

    def _put(self, pipe: Any, product_id: UUID, neighbours: Neighbours, at: datetime) -> None:
        similar = f"{self._prefix}similar:{product_id}"
        how = f"{self._prefix}answers:{product_id}"
        pipe.delete(similar)
        if neighbours:
            pipe.zadd(similar, {str(id): score for id, score in neighbours})
            pipe.expire(similar, KEPT_S)
        algorithm = "collaborative_filtering" if neighbours else "popular"
        pipe.hset(how, mapping={"algorithm": algorithm, "generated_at": at.isoformat()})
        pipe.expire(how, KEPT_S)

    async def read(self, product_id: UUID, limit: int) -> list[tuple[UUID, float]]:
        with answered(ANSWER_WITHIN_S):
            key = f"{self._prefix}similar:{product_id}"
            found = await self._redis.zrange(key, 0, limit - 1, desc=True, withscores=True)
        return [(UUID(member.decode()), float(score)) for member, score in found]
