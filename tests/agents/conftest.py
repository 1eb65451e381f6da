"""`office` has one agent, lin, with a good password; `client` speaks HTTP to it, as served."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.storage.database import DatabasePool
from tests.agents.office import GOOD, HERE, Office


@pytest.fixture
async def office(pool: DatabasePool) -> Office:
    made = Office(pool)
    await made.create("lin", "Lin Mei", password=GOOD)
    return made


@pytest.fixture
async def client(office: Office) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=office.routes(), exception_handlers=EXCEPTION_HANDLERS)
    transport = httpx.ASGITransport(app=app, client=(HERE, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://kefu") as client:
        yield client
