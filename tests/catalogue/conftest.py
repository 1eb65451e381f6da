"""`shop` is empty; `client` speaks HTTP to it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.storage.database import DatabasePool
from tests.catalogue.shop import Shop


@pytest.fixture
def shop(pool: DatabasePool) -> Shop:
    return Shop(pool)


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=shop.routes(), exception_handlers=EXCEPTION_HANDLERS)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://kefu") as client:
        yield client
