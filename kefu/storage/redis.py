"""The client of Redis or Valkey: RESP3, bytes in and out, at most 50 connections.

Nothing is retried here: redis-py would repeat a PUBLISH whose answer came late, and send it twice.
Blocking reads (XREAD BLOCK) need a client of their own with `read_timeout_s` above the block.
"""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_LIMIT_S = 5.0
_CONNECTION_LIMIT = 50


def open_redis(
    url: str,
    *,
    max_connections: int = _CONNECTION_LIMIT,
    wait_s: float = _LIMIT_S,
    read_timeout_s: float = _LIMIT_S,
) -> Redis:
    """A client of `url` (redis://, rediss://, unix://). Connects when first used; `aclose` it.

    `wait_s` bounds the wait for a free connection, `read_timeout_s` the one for an answer.
    """
    options = {} if url.startswith("unix:") else {"socket_keepalive": True}
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=wait_s,
        socket_timeout=read_timeout_s,
        socket_connect_timeout=_LIMIT_S,
        protocol=3,
        client_name="kefu",
        retry=Retry(NoBackoff(), 0),
        **options,
    )
    return Redis.from_pool(pool)
