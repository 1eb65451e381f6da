"""`town` is a shop with visitors on the real Valkey and PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from kefu.storage.database import DatabasePool
from tests.recommendations.town import Town, open_town


@pytest.fixture
async def town(redis: Redis, pool: DatabasePool) -> AsyncIterator[Town]:
    async with open_town(redis, pool) as town:
        yield town
