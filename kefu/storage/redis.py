"""The client of Redis or Valkey: RESP3, bytes in and out, at most 50 connections.

Nothing is retried here: redis-py would repeat a PUBLISH whose answer came late, and send it twice.
Blocking reads (XREAD BLOCK) need a client of their own with `read_timeout_s` above the block.
"""

from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected

_LIMIT_S = 5.0
_CONNECTION_LIMIT = 50


class _Connection(AbstractConnection):
    """Mixed into what the URL asks for: a write after the other side hung up is a lost connection.

    uvloop calls that a RuntimeError, which redis-py lets through: it would pass as a bug.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise NotConnected("Redis hung up.") from error


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
    pool.connection_class = type("Connection", (_Connection, pool.connection_class), {})
    return Redis.from_pool(pool)
