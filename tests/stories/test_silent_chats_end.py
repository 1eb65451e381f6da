"""A whole kefu in this process ends the chats everybody has left, and no other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from kefu import app, inhabitants
from kefu.agents.tokens import CustomerIdentity
from kefu.conversations.cleanup import Cleanup
from kefu.secret import SecretUrl
from kefu.settings import Settings
from kefu.storage.embedded import Stores
from kefu.stores import open_stores
from tests.fakes.asgi_peer import AsgiPeer
from tests.fakes.clock import HandClock
from tests.until import until

CLOCK_STARTS = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CUSTOMER = """
INSERT INTO customers (id, sub) VALUES ($1, $2)
"""
CHAT = """
INSERT INTO chats (id, customer_id, slot, epoch, status, began_with_bot, log_head, started_at)
VALUES ($1, $2, 0, 0, $3, true, 1, $4)
"""
STATUS = "SELECT status FROM chats WHERE id = $1"


async def put(
    connection: asyncpg.Connection, status: str, *, minutes: float, customer_id: UUID | None = None
) -> UUID:
    """A chat that began so long ago and of which nothing more was heard."""
    chat_id, customer_id = uuid4(), customer_id or uuid4()
    began_at = CLOCK_STARTS - timedelta(minutes=minutes)
    await connection.execute(CUSTOMER, customer_id, str(customer_id))
    await connection.execute(CHAT, chat_id, customer_id, status, began_at)
    return chat_id


@asynccontextmanager
async def running(stores: Stores, database: str, clock: HandClock) -> AsyncIterator[app.App]:
    settings = Settings(
        database_url=SecretUrl(database),
        redis_url=SecretUrl(stores.redis_url),
        silent_chat_timeout_s=600,
    )
    async with (
        open_stores(settings, on_progress=lambda _words: None) as opened,
        app.open_app(settings, opened, clock=clock) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
def _no_minute_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inhabitants, "Cleanup", partial(Cleanup, every_s=0.05))


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def ended(connection: asyncpg.Connection, chat_id: UUID) -> None:
    async def has_ended() -> bool:
        return bool(await connection.fetchval(STATUS, chat_id) == "ended")

    await until(has_ended)


async def test_a_chat_everybody_has_left_ends_by_itself(
    stores: Stores, database: str, connection: asyncpg.Connection
) -> None:
    waiting = await put(connection, "waiting", minutes=60)
    lively = await put(connection, "bot", minutes=5)
    silent = await put(connection, "bot", minutes=15)
    async with running(stores, database, HandClock(CLOCK_STARTS)):
        await ended(connection, silent)

    kept = [await connection.fetchval(STATUS, chat_id) for chat_id in (waiting, lively)]
    assert kept == ["waiting", "bot"]


async def test_a_customer_who_is_here_keeps_their_chat_until_they_go(
    stores: Stores, database: str, connection: asyncpg.Connection
) -> None:
    clock = HandClock(CLOCK_STARTS)
    async with running(stores, database, clock) as kefu:
        token = kefu.tokens.customer("c-here", name=None, ttl_s=86_400)
        identity = kefu.tokens.verify(token)
        assert isinstance(identity, CustomerIdentity)
        here = await put(connection, "bot", minutes=0, customer_id=identity.customer_id)
        gone = [await put(connection, "bot", minutes=minutes) for minutes in (0, 5)]
        peer = AsgiPeer(kefu.asgi, query=f"token={token}")
        await peer.hear("chat_status")
        clock.advance(601)
        for chat_id in gone:
            await ended(connection, chat_id)
        clock.advance(60)
        await ended(connection, await put(connection, "bot", minutes=0))  # a round later
        assert await connection.fetchval(STATUS, here) == "bot"
        await peer.leave()
        await ended(connection, here)
