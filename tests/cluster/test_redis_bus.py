"""The bus on a real Valkey, and what it says when the connection is lost, loudly or in silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from kefu.cluster import redis_bus
from kefu.cluster.ports import BusUnavailable
from kefu.cluster.redis_bus import RedisBus
from kefu.storage.embedded import Stores
from kefu.storage.redis import open_redis
from tests.fakes.proxy import Proxy, proxy_to
from tests.until import until


class Ear:
    """Hears one channel."""

    def __init__(self, bus: RedisBus) -> None:
        self.channel = uuid4().hex
        self.heard: list[bytes] = []
        self.ups: list[bool] = []
        self._bus = bus

    @property
    def is_up(self) -> bool:
        return bool(self.ups) and self.ups[-1]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        task = asyncio.create_task(
            self._bus.listen(self.channel, self.heard.append, self.ups.append)
        )
        try:
            await until(lambda: self.is_up)
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
def bus(redis: Redis) -> RedisBus:
    return RedisBus(redis)


@asynccontextmanager
async def through_proxy(stores: Stores) -> AsyncIterator[tuple[Proxy, Redis]]:
    path = stores.redis_url.removeprefix("unix://").partition("?")[0]
    async with proxy_to(path) as proxy:
        client = open_redis(f"redis://127.0.0.1:{proxy.port}")
        try:
            yield proxy, client
        finally:
            proxy.is_silent = False
            await client.aclose()


async def test_what_is_published_is_heard_in_order(bus: RedisBus) -> None:
    ear = Ear(bus)
    said = [b"\xff\x00%d" % number for number in range(500)]
    async with ear.listening():
        for data in said:
            assert await bus.publish(ear.channel, data) == 1
        await until(lambda: len(ear.heard) == len(said))
    assert ear.heard == said


async def test_the_number_of_listeners_is_told(bus: RedisBus) -> None:
    ear, other = Ear(bus), Ear(bus)
    other.channel = ear.channel
    assert await bus.publish(ear.channel, b"") == 0
    async with ear.listening(), other.listening():
        assert await bus.publish(ear.channel, b"") == 2
    await until(lambda: _nobody(bus, ear.channel))


async def _nobody(bus: RedisBus, channel: str) -> bool:
    return await bus.publish(channel, b"") == 0


async def test_other_channels_are_not_heard(bus: RedisBus) -> None:
    ear = Ear(bus)
    async with ear.listening():
        await bus.publish(ear.channel + "x", b"another's")
        await bus.publish(ear.channel, b"mine")
        await until(lambda: bool(ear.heard))
    assert ear.heard == [b"mine"]


async def test_a_lost_subscription_is_told_and_made_again(bus: RedisBus, redis: Redis) -> None:
    ear = Ear(bus)
    async with ear.listening():
        await redis.client_kill_filter(_type="pubsub")
        await until(lambda: ear.ups[1:] == [False, True])
        await bus.publish(ear.channel, b"again")
        await until(lambda: bool(ear.heard))
    assert ear.heard == [b"again"]


async def test_a_quiet_channel_stays_up(bus: RedisBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is pinged, and the answers count as life."""
    monkeypatch.setattr(redis_bus, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(redis_bus, "SILENT_AFTER_S", 0.3)
    ear = Ear(bus)
    async with ear.listening():
        began = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - began > 0.8)
        assert ear.ups == [True]


async def test_a_half_open_connection_is_noticed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_bus, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(redis_bus, "SILENT_AFTER_S", 0.3)
    async with through_proxy(stores) as (proxy, client):
        ear = Ear(RedisBus(client))
        async with ear.listening():
            proxy.is_silent = True
            await until(lambda: not ear.is_up, within_s=2)
            proxy.cut()
            proxy.is_silent = False
            await until(lambda: ear.is_up, within_s=5)


async def test_a_cut_connection_is_made_again(stores: Stores) -> None:
    async with through_proxy(stores) as (proxy, client):
        ear = Ear(RedisBus(client))
        async with ear.listening():
            proxy.is_refusing = True
            proxy.cut()
            await until(lambda: not ear.is_up)
            proxy.is_refusing = False
            await until(lambda: ear.is_up)


async def test_publishing_to_a_silent_redis_is_given_up_in_time(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_bus, "PUBLISH_WITHIN_S", 0.2)
    async with through_proxy(stores) as (proxy, client):
        bus = RedisBus(client)
        await bus.publish("channel", b"")
        proxy.is_silent = True
        began = asyncio.get_running_loop().time()
        with pytest.raises(BusUnavailable):
            await bus.publish("channel", b"")
        assert asyncio.get_running_loop().time() - began < 1.0


async def test_publishing_to_no_redis_is_an_error() -> None:
    client = open_redis("redis://127.0.0.1:1")
    with pytest.raises(BusUnavailable):
        await RedisBus(client).publish("channel", b"")
    await client.aclose()
