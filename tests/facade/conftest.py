"""`house` is a whole kefu behind the facade, the test's own."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from kefu.storage.database import DatabasePool
from tests.facade.house import House, opened


@pytest.fixture
async def house(pool: DatabasePool, database: str, redis: "Redis") -> AsyncIterator[House]:
    async with opened(pool, database, redis) as house:
        yield house
