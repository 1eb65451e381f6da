"""The Redis client: bytes, RESP3, bounded, and nothing sent twice."""

import asyncio
import os
import signal
from pathlib import Path

import anyio
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as TookTooLong

from kefu.storage.embedded import Stores
from kefu.storage.redis import open_redis


async def test_bytes_go_in_and_come_out(redis: Redis) -> None:
    await redis.set("key", b"\xff\x00\n")
    assert await redis.get("key") == b"\xff\x00\n"


async def test_it_speaks_the_third_protocol(redis: Redis) -> None:
    assert int((await redis.client_info())["resp"]) == 3


async def test_waiting_for_a_free_connection_has_an_end(stores: Stores) -> None:
    client = open_redis(stores.redis_url, max_connections=1, wait_s=0.05)
    async with client.pubsub() as holding:
        await holding.subscribe("channel")
        with pytest.raises(NotConnected):
            await client.ping()
    assert await client.ping()
    await client.aclose()


async def test_more_work_than_connections_waits_its_turn(redis: Redis, stores: Stores) -> None:
    client = open_redis(stores.redis_url, max_connections=2)

    async def take_a_turn() -> None:
        await client.incr("turns")

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(take_a_turn)
    assert await client.get("turns") == b"100"
    await client.aclose()


async def test_a_blocking_read_needs_a_client_with_more_patience(stores: Stores) -> None:
    hasty = open_redis(stores.redis_url, read_timeout_s=0.1)
    with pytest.raises(TookTooLong):
        await hasty.blpop("nothing", timeout=1)
    await hasty.aclose()
    patient = open_redis(stores.redis_url, read_timeout_s=5)
    assert await patient.blpop("nothing", timeout=0.2) is None
    await patient.aclose()


async def test_a_late_answer_does_not_send_the_command_again(redis: Redis, stores: Stores) -> None:
    hasty = open_redis(stores.redis_url, read_timeout_s=0.1)
    await hasty.ping()
    server = int((await redis.info("server"))["process_id"])
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(TookTooLong):
            await hasty.incr("sent")
    finally:
        os.kill(server, signal.SIGCONT)
    await hasty.aclose()
    assert await redis.get("sent") == b"1"


async def test_no_server_is_an_error_at_once(place: Path) -> None:
    client = open_redis(f"unix://{place}/none.sock")
    with pytest.raises(NotConnected):
        await client.ping()
    await client.aclose()


async def test_connections_cut_by_the_server_are_replaced(redis: Redis, stores: Stores) -> None:
    client = open_redis(stores.redis_url)
    await client.ping()
    await redis.client_kill_filter(_type="normal", skipme=True)
    assert await client.ping()
    await client.aclose()


def test_a_write_after_the_server_hung_up_is_a_lost_connection(stores: Stores) -> None:
    async def write() -> None:
        client = open_redis(stores.redis_url)
        connection = client.connection_pool.make_connection()
        await connection.connect()
        connection._writer.transport.abort()
        await anyio.lowlevel.checkpoint()
        with pytest.raises(NotConnected):
            await connection.send_command("PING")
        await client.aclose()

    anyio.run(write, backend_options={"use_uvloop": True})


async def test_a_cancellation_is_heard_at_whichever_step_of_a_command_it_comes(
    stores: Stores,
) -> None:
    client = open_redis(stores.redis_url)
    await client.ping()

    async def ask_on() -> None:
        while True:
            await client.ping()

    for steps in range(100):
        asking = asyncio.create_task(ask_on())
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        asking.cancel()
        done, _ = await asyncio.wait([asking], timeout=1)
        asking.cancel()
        assert done, f"not after {steps} steps"
    await client.aclose()
