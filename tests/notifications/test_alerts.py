"""The team hears of what is wrong and when it is over: real PostgreSQL and Redis."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import pytest
from redis.asyncio import Redis

from kefu.errors import Problem
from kefu.notifications.alerts import Sources, Watch, World
from kefu.notifications.board import SEEN_S, Board
from kefu.notifications.options import AlertOptions
from kefu.notifications.state import Alert
from kefu.shifts.messages import Duty
from kefu.storage.database import DatabasePool, connected
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from tests.fakes.clock import HandClock
from tests.notifications.chats import StoredChat

OPTIONS = AlertOptions(alert_wait_s=600, alert_error_rate=0.05, alert_latency_s=2, mail_locale="en")


@dataclass
class Shop:
    """What a test says is so, and what the team is told."""

    pool: DatabasePool
    redis: Redis
    clock: HandClock = field(default_factory=HandClock)
    online: int | Exception | None = 1
    error_rate: float | None = None
    latency_s: float | None = None
    is_open: bool = True
    has_mail: bool = True
    told: list[str] = field(default_factory=list)
    mailed: list[Alert] = field(default_factory=list)

    def watch(self) -> Watch:
        board = Board(self.redis, self.clock, 900)
        world = World(self.pool, self.clock, self, board, self, self)
        sources = Sources(self.online_count, lambda: self.error_rate, lambda: self.latency_s)
        return Watch(world, sources, OPTIONS)

    async def online_count(self) -> int | None:
        if isinstance(self.online, Exception):
            raise self.online
        return self.online

    def duty(self, at: datetime, team_id: UUID | None = None) -> Duty:
        assert at == self.clock.now()
        return Duty(self.is_open)

    def tell(self, text: str) -> None:
        self.told.append(text)

    async def post_alert(self, alert: Alert) -> None:
        if not self.has_mail:
            raise StoreUnavailable("away")
        self.mailed.append(alert)

    async def look(self, watch: Watch) -> list[str]:
        """What a look tells."""
        self.told.clear()
        await watch.look()
        return list(self.told)

    async def forget(self) -> None:
        """Let what was seen be forgotten, here and, by hand, in Redis, which has its own clock."""
        self.clock.advance(SEEN_S)
        async for key in self.redis.scan_iter("alert:*:seen"):
            await self.redis.delete(key)


@pytest.fixture
def shop(pool: DatabasePool, redis: Redis) -> Shop:
    return Shop(pool, redis)


async def test_who_waits_too_long_is_told_of_once_and_when_it_is_over(shop: Shop) -> None:
    chat = await StoredChat(shop.pool, shop.clock.now()).open(status="waiting")
    watch, neighbour = shop.watch(), shop.watch()
    assert await shop.look(watch) == []
    shop.clock.advance(601)
    told = await shop.look(watch)
    assert told == ["[Alert] 1 waiting, the longest for 10 min (limit 10 min)."]
    assert shop.mailed == [Alert("waiting", count=1, value=601, limit=600)]
    assert await shop.look(neighbour) == await shop.look(watch) == []

    async with connected(shop.pool) as connection:
        await connection.execute("UPDATE chats SET status = 'active' WHERE id = $1", chat.id)
    await shop.forget()
    assert await shop.look(neighbour) == ["[All clear] Nobody waits too long any more."]
    assert shop.mailed[-1] == Alert("waiting", is_over=True)
    assert await shop.look(watch) == []


async def test_nobody_online_in_shift_is_told_of_when_somebody_waits(shop: Shop) -> None:
    shop.online = 0
    watch = shop.watch()
    assert await shop.look(watch) == []
    await StoredChat(shop.pool, shop.clock.now()).open(status="waiting")
    shop.is_open = False
    assert await shop.look(watch) == []
    shop.is_open = True
    assert await shop.look(watch) == ["[Alert] On duty, 1 waiting, and no agent is online."]
    shop.online = 1
    await shop.forget()
    assert len(await shop.look(watch)) == 1


@pytest.mark.parametrize("online", [None, Problem(ErrorCode.OVERLOADED), StoreUnavailable("away")])
async def test_who_is_online_may_be_unknown(shop: Shop, online: Exception | None) -> None:
    await StoredChat(shop.pool, shop.clock.now()).open(status="waiting")
    shop.online = online
    assert await shop.look(shop.watch()) == []


async def test_failures_and_slowness_are_told_of(shop: Shop) -> None:
    watch = shop.watch()
    shop.error_rate, shop.latency_s = 0.2, 3.5
    assert await shop.look(watch) == [
        "[Alert] 20.0% of requests fail (limit 5.0%).",
        "[Alert] Answers take 3.50 s (limit 2.00 s).",
    ]
    shop.error_rate, shop.latency_s = None, None
    await shop.forget()
    assert await shop.look(watch) == []
    shop.error_rate, shop.latency_s = 0.0, 0.1
    assert await shop.look(watch) == [
        "[All clear] Requests succeed again.",
        "[All clear] Answers are quick again.",
    ]


async def test_robots_speak_when_mail_and_postgresql_are_away(shop: Shop) -> None:
    shop.has_mail, shop.error_rate = False, 0.5
    watch = shop.watch()
    shop.pool.terminate()
    assert await shop.look(watch) == ["[Alert] 50.0% of requests fail (limit 5.0%)."]
