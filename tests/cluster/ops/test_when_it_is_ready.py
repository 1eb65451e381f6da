"""What the cluster has to say on readiness."""

import asyncio
from typing import Any, cast

from redis.asyncio import Redis

from kefu.addresses import redis_reason, slots_reason
from kefu.cluster.cluster import Cluster
from kefu.cluster.placement import SLOT_COUNT
from kefu.cluster.ports import Member
from kefu.cluster.slots import Slots
from kefu.stores import Stores
from tests.cluster.memory import MemoryClaims, MemoryDirectory
from tests.until import until


class Part:
    """The part of a cluster that readiness looks at."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots


async def test_it_is_not_ready_before_any_owner_is_known() -> None:
    directory = MemoryDirectory()
    slots = Slots("a", Member("a"), cast(Any, directory), MemoryClaims())
    part = cast(Cluster, Part(slots))
    assert await slots_reason(part) == "Nobody is known to own any slot."
    assert slots.counts() == {None: SLOT_COUNT}
    running = asyncio.create_task(slots.run())
    try:
        await until(lambda: slots.owned_count == SLOT_COUNT)
        assert await slots_reason(part) is None
        assert slots.counts() == {"a": SLOT_COUNT}
        directory.is_down = True
        await until(lambda: not slots.is_connected)
        assert await slots_reason(part) is None, "without Redis what is owned is served"
    finally:
        running.cancel()


async def test_redis_must_have_heard_the_last_beat(redis: Redis) -> None:
    directory = MemoryDirectory()
    slots = Slots("a", Member("a"), cast(Any, directory), MemoryClaims())
    part, stores = cast(Cluster, Part(slots)), Stores(cast(Any, None), redis, cast(Any, None))
    assert await redis_reason(stores, part) == "This instance's last beat was not heard."
    running = asyncio.create_task(slots.run())
    try:
        await until(lambda: slots.is_connected)
        assert await redis_reason(stores, part) is None
        directory.is_down = True
        await until(lambda: not slots.is_connected)
        assert await redis_reason(stores, part) is not None
    finally:
        running.cancel()


async def test_a_wish_in_the_directory_reaches_the_instance() -> None:
    directory = MemoryDirectory()
    slots = Slots("a", Member("a"), cast(Any, directory), MemoryClaims())
    running = asyncio.create_task(slots.run())
    try:
        await until(lambda: slots.owned_count == SLOT_COUNT)
        assert not slots.asked_to_leave.is_set()
        assert await slots.ask_to_leave("a")
        slots.look_now()
        await until(slots.asked_to_leave.is_set)
    finally:
        running.cancel()
