"""The bus on Redis pub/sub.

One connection listens; redis-py subscribes again by itself after a loss, and the second
confirmation of the subscription is the only trace of what was missed (measured), so confirmations
are looked at. Publishing uses a client that never retries: a retried PUBLISH is a second one.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.cluster.ports import BusUnavailable

PUBLISH_WITHIN_S: Final = 2.0
PING_EVERY_S: Final = 1.0
SILENT_AFTER_S: Final = 3.0
RECONNECT_PAUSE_S: Final = 0.1
log = logging.getLogger("kefu.cluster")


class RedisBus:
    """See ports.Bus."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    async def publish(self, channel: str, data: bytes) -> int:
        try:
            async with asyncio.timeout(PUBLISH_WITHIN_S):
                heard_by: int = await self._redis.publish(channel, data)
        except (RedisError, OSError, TimeoutError) as error:
            raise BusUnavailable("Redis does not answer.") from error
        return heard_by

    async def listen(
        self,
        channel: str,
        on_data: Callable[[bytes], None],
        on_up: Callable[[bool], None],
    ) -> None:
        while True:
            pubsub: Any = self._redis.pubsub()
            try:
                await pubsub.subscribe(channel)
                await self._hear(pubsub, on_data, on_up)
            except (RedisError, OSError, TimeoutError):
                log.warning("bus_lost")
            finally:
                on_up(False)
                await _close(pubsub)
            await asyncio.sleep(RECONNECT_PAUSE_S)

    async def _hear(
        self, pubsub: Any, on_data: Callable[[bytes], None], on_up: Callable[[bool], None]
    ) -> None:
        """A quiet channel is asked whether it lives: a half-open connection says nothing, ever."""
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        while True:
            message = await pubsub.get_message(timeout=PING_EVERY_S)
            now = loop.time()
            if message is None:
                if now - heard_at > SILENT_AFTER_S:
                    raise TimeoutError
                await pubsub.ping()
                continue
            heard_at = now
            if message["type"] == "message":
                on_data(message["data"])
            elif message["type"] == "subscribe":
                on_up(True)


async def _close(pubsub: Any) -> None:
    try:
        async with asyncio.timeout(1.0):
            await pubsub.aclose()
    except (RedisError, OSError, TimeoutError):
        pass
