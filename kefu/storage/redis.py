"""The client of Redis or Valkey: RESP3, bytes in and out, at most 50 connections.

Nothing is retried here: redis-py would repeat a PUBLISH whose answer came late, and send it twice.
Blocking reads (XREAD BLOCK) need a client of their own with `read_timeout_s` above the block.
"""

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as TookTooLong

_LIMIT_S = 5.0
_CONNECTION_LIMIT = 50


class _Connection(AbstractConnection):
    """Mixed into what the URL asks for: how a command is written, and what may go wrong then.

    redis-py writes it within asyncio.wait_for, which begins a task each time and, before Python
    3.12, loses a cancellation that comes just as the write ends: who was to stop listening listened
    on (python/cpython#86296). And where the other side has hung up, uvloop says RuntimeError, which
    redis-py lets through as if it were a bug.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Raises NotConnected or TookTooLong, and gives the connection up then.

        There is no `check_health`: it is for connections that are pinged before they are used.
        """
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        parts = command.encode() if isinstance(command, str) else command
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command([parts] if isinstance(parts, bytes) else parts)
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise TookTooLong("Redis takes nothing.") from None
        except (OSError, RuntimeError) as error:
            await self.disconnect(nowait=True)
            raise NotConnected("Redis hung up.") from error
        except BaseException:  # who knows how much of it went out
            await self.disconnect(nowait=True)
            raise


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
