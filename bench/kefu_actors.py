"""kefu's actors, measured: `python -m bench.kefu_actors <measure> <count>` prints one figure."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from dataclasses import dataclass
from random import Random
from time import process_time
from typing import Any

import anyio

from actors import Actor, Kind, Ref, Request, Router
from bench.stopwatch import resident_bytes, run


@dataclass(frozen=True, slots=True)
class Ping(Request[int]):
    """Answered with 1."""


class Counter(Actor[Any]):
    """Counts its messages and sets `done` at the expected one."""

    mailbox_limit = 1024

    def __init__(self, key: str) -> None:
        self.count = 0

    async def receive(self, message: Any) -> int:
        self.count += 1
        if type(message) is tuple and self.count >= message[0]:
            self.count = 0
            message[1].set()
        return 1


class Ringer(Actor[tuple[int, anyio.Event]]):
    """Tells its right neighbour one less, until nothing is left."""

    def __init__(self, key: str, size: int) -> None:
        self._right = str((int(key) + 1) % size)

    async def on_activate(self) -> None:
        self._next = self.context.ref("ringer", self._right)

    async def receive(self, message: tuple[int, anyio.Event]) -> None:
        left, done = message
        if left == 0:
            done.set()
        else:
            self._next.tell((left - 1, done))


def open_router(*kinds: Kind) -> Router:
    return Router(kinds, random=Random(1))


async def burst(count: int) -> float:
    """Tells in bursts of 500 to one actor, each burst handled before the next."""
    async with open_router(Kind("counter", Counter)) as router:
        ref = router.ref("counter", "one")
        started = process_time()
        for _ in range(count // 500):
            done = anyio.Event()
            for _ in range(499):
                ref.tell(None)
            ref.tell((500, done))
            await done.wait()
        return count / (process_time() - started)


async def single_hop(count: int) -> float:
    """One message going round a ring of 1,000 actors."""
    async with open_router(Kind("ringer", lambda key: Ringer(key, 1000))) as router:
        first = router.ref("ringer", "0")
        await around(first, 1000)
        started = process_time()
        await around(first, count)
        return count / (process_time() - started)


async def around(first: Ref[Any], hops: int) -> None:
    done = anyio.Event()
    first.tell((hops, done))
    await done.wait()


async def from_outside(count: int) -> float:
    """One tell to an idle actor at a time, each from a task that then waits for the loop."""
    async with open_router(Kind("counter", Counter)) as router:
        refs = [router.ref("counter", str(number)) for number in range(1000)]
        started = process_time()
        for turn in range(count):
            refs[turn % 1000].tell(None)
            await asyncio.sleep(0)
        return count / (process_time() - started)


async def ask_one(count: int) -> float:
    """Asks one after another, each with a deadline."""
    async with open_router(Kind("counter", Counter)) as router:
        ref, ping = router.ref("counter", "one"), Ping()
        started = process_time()
        for _ in range(count):
            await ref.ask(ping, within=5)
        return count / (process_time() - started)


async def ask_hundred(count: int) -> float:
    """A hundred askers at once, each asking one after another with a deadline."""
    async with open_router(Kind("counter", Counter)) as router:
        ref, ping = router.ref("counter", "one"), Ping()

        async def asker() -> None:
            for _ in range(count // 100):
                await ref.ask(ping, within=5)

        started = process_time()
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(asker)
        return count / (process_time() - started)


async def activate(count: int) -> float:
    """First message to so many different actors, until the last has handled it."""
    async with open_router(Kind("counter", Counter)) as router:
        started = process_time()
        for number in range(count - 1):
            router.ref("counter", str(number)).tell(None)
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await router.ref("counter", "last").ask(Ping(), within=60)
        return count / (process_time() - started)


async def idle_bytes(count: int) -> float:
    """Memory of an actor that has handled one message and waits, with its key and all."""
    async with open_router(Kind("counter", Counter)) as router:
        await router.ref("counter", "first").ask(Ping(), within=60)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            router.ref("counter", f"{number:032}").tell(None)
        await router.ref("counter", "last").ask(Ping(), within=60)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return (after - before) / count


async def idle_resident(count: int) -> float:
    """The same, as the machine sees it."""
    async with open_router(Kind("counter", Counter)) as router:
        await router.ref("counter", "first").ask(Ping(), within=60)
        before = resident_bytes()
        for number in range(count):
            router.ref("counter", f"{number:032}").tell(None)
        await router.ref("counter", "last").ask(Ping(), within=60)
        return (resident_bytes() - before) / count


if __name__ == "__main__":
    run(
        {
            "burst": burst,
            "hop": single_hop,
            "outside": from_outside,
            "ask": ask_one,
            "asks": ask_hundred,
            "activate": activate,
            "idle": idle_bytes,
            "resident": idle_resident,
        }
    )
