"""Do the stores answer? For readiness: one sentence when not, never an exception.

Whoever asks sets the deadline; a store that says nothing keeps these waiting.
"""

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.storage.database import DatabasePool, connected
from kefu.storage.errors import StoreUnavailable


async def ping_postgres(pool: DatabasePool) -> str | None:
    try:
        async with connected(pool) as connection:
            await connection.execute("SELECT 1")
    except StoreUnavailable as error:
        return str(error)
    except asyncpg.PostgresError as error:
        return f"The database refuses to answer ({type(error).__name__})."
    return None


async def ping_redis(client: Redis) -> str | None:
    try:
        await client.ping()
    except (RedisError, OSError):
        return "Redis does not answer; what it holds is only for speed."
    return None
