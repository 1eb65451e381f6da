"""xoscar in one process: `python -m bench.peers.python.xoscar_actors <measure> <count>`."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import process_time
from typing import Any

import xoscar

from bench.stopwatch import ASKERS, BURST, RING, resident_bytes, run


class Counter(xoscar.Actor):
    async def receive(self, message: Any) -> int:
        return 1


class Ringer(xoscar.Actor):
    right: Any = None

    async def meet(self, right: Any) -> None:
        self.right = right

    async def receive(self, left: int) -> None:
        if left:
            await self.right.receive.tell(left - 1)
        else:
            DONE.set()


DONE = asyncio.Event()


@asynccontextmanager
async def open_pool() -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pool = await xoscar.create_actor_pool(f"127.0.0.1:{port}", n_process=0)
    async with pool:
        yield pool.external_address


async def burst(count: int) -> float:
    async with open_pool() as address:
        receive = (await xoscar.create_actor(Counter, address=address, uid="one")).receive
        started = process_time()
        for _ in range(count // BURST):
            for _ in range(BURST - 1):
                await receive.tell(None)
            await receive(None)
        return count / (process_time() - started)


async def hop(count: int) -> float:
    async with open_pool() as address:
        ring = [
            await xoscar.create_actor(Ringer, address=address, uid=str(place))
            for place in range(RING)
        ]
        for place, ref in enumerate(ring):
            await ref.meet(ring[(place + 1) % RING])
        started = process_time()
        await ring[0].receive.tell(count)
        await DONE.wait()
        return count / (process_time() - started)


async def ask(count: int) -> float:
    async with open_pool() as address:
        receive = (await xoscar.create_actor(Counter, address=address, uid="one")).receive
        started = process_time()
        for _ in range(count):
            await receive(None)
        return count / (process_time() - started)


async def asks(count: int) -> float:
    async with open_pool() as address:
        receive = (await xoscar.create_actor(Counter, address=address, uid="one")).receive

        async def asker() -> None:
            for _ in range(count // ASKERS):
                await receive(None)

        started = process_time()
        await asyncio.gather(*(asker() for _ in range(ASKERS)))
        return count / (process_time() - started)


async def activate(count: int) -> float:
    async with open_pool() as address:
        started = process_time()
        await start_many(address, count)
        return count / (process_time() - started)


async def resident(count: int) -> float:
    async with open_pool() as address:
        await xoscar.create_actor(Counter, address=address, uid="first")
        before = resident_bytes()
        refs = await start_many(address, count)
        return (resident_bytes() - before) / len(refs)


async def start_many(address: str, count: int) -> list[Any]:
    refs = []
    for number in range(count):
        ref = await xoscar.create_actor(Counter, address=address, uid=str(number))
        await ref.receive.tell(None)
        refs.append(ref)
    await refs[-1].receive(None)
    return refs


if __name__ == "__main__":
    run(
        {
            "burst": burst,
            "hop": hop,
            "ask": ask,
            "asks": asks,
            "activate": activate,
            "resident": resident,
        }
    )
