"""`office` has agents and an audit log, `rota` the shop's hours, `client` speaks HTTP to both."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from kefu.agents.guard import Guard, by
from kefu.audit.messages import By
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.shifts.options import ShiftOptions
from kefu.shifts.rota import Rota
from kefu.shifts.routes import routes
from kefu.storage.database import DatabasePool
from tests.agents.office import HERE, Office

OPTIONS = ShiftOptions(human_shift_start="09:00", human_shift_end="18:00")


@pytest.fixture
def office(pool: DatabasePool) -> Office:
    return Office(pool)


@pytest.fixture
def rota(office: Office) -> Rota:
    return Rota(office.pool, office.clock, office.audit, OPTIONS)


@pytest.fixture
async def client(office: Office, rota: Rota) -> AsyncIterator[httpx.AsyncClient]:
    guard = Guard(office.accounts)

    async def writer(request: Request) -> By:
        return by(await guard.require(request, "settings.write"), request)

    app = Starlette(
        routes=routes(rota, guard.requiring("account.own"), writer),
        exception_handlers=EXCEPTION_HANDLERS,
    )
    transport = httpx.ASGITransport(app=app, client=(HERE, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://kefu") as client:
        yield client
