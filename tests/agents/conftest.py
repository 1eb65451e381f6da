"""`office` has one agent, lin, with a good password."""

import pytest

from kefu.storage.database import DatabasePool
from tests.agents.office import GOOD, Office


@pytest.fixture
async def office(pool: DatabasePool) -> Office:
    made = Office(pool)
    await made.accounts.create("lin", "Lin Mei", password=GOOD)
    return made
