"""What one would write without an actor library: a task each, around a queue or a stream.

    python -m bench.plain_actors <measure> <count> queue|stream

No supervision, and a bound that raises: the floor to compare with. An ask has a deadline, as
kefu's has, in the way the standard library offers it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from time import process_time
from typing import Any

import anyio
from anyio.abc import TaskGroup

from bench.stopwatch import ASKERS, BURST, RING, resident_bytes, run

LIMIT = 1024
Handle = Callable[[Any], object]


def start(group: TaskGroup, handle: Handle) -> Handle:
    """An actor that calls `handle` with each message; what is returned sends it one."""
    if "stream" in sys.argv:
        send, receive = anyio.create_memory_object_stream[Any](LIMIT)

        async def read() -> None:
            async for item in receive:
                handle(item)

        group.start_soon(read)
        return send.send_nowait
    queue: asyncio.Queue[Any] = asyncio.Queue(LIMIT)

    async def take() -> None:
        while True:
            handle(await queue.get())

    group.start_soon(take)
    return queue.put_nowait


class Counter:
    """Answers an asker's future, sets the event of the last message of a burst."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, item: Any) -> None:
        self.count += 1
        if item is None:
            return
        if type(item) is asyncio.Future:
            item.set_result(1)
        else:
            item.set()


async def burst(count: int) -> float:
    async with anyio.create_task_group() as group:
        tell = start(group, Counter())
        started = process_time()
        for _ in range(count // BURST):
            done = anyio.Event()
            for _ in range(BURST - 1):
                tell(None)
            tell(done)
            await done.wait()
        took = process_time() - started
        group.cancel_scope.cancel()
    return count / took


async def hop(count: int) -> float:
    async with anyio.create_task_group() as group:
        done = anyio.Event()
        tells: list[Handle] = []

        def pass_on(place: int) -> Handle:
            def handle(left: int) -> None:
                if left:
                    tells[(place + 1) % RING](left - 1)
                else:
                    done.set()

            return handle

        tells += [start(group, pass_on(place)) for place in range(RING)]
        await anyio.sleep(0.1)
        started = process_time()
        tells[0](count)
        await done.wait()
        took = process_time() - started
        group.cancel_scope.cancel()
    return count / took


async def ask(count: int) -> float:
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as group:
        tell = start(group, _answer)
        started = process_time()
        for _ in range(count):
            await _ask(loop, tell)
        took = process_time() - started
        group.cancel_scope.cancel()
    return count / took


async def asks(count: int) -> float:
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as group:
        tell = start(group, _answer)

        async def asker() -> None:
            for _ in range(count // ASKERS):
                await _ask(loop, tell)

        started = process_time()
        async with anyio.create_task_group() as askers:
            for _ in range(ASKERS):
                askers.start_soon(asker)
        took = process_time() - started
        group.cancel_scope.cancel()
    return count / took


async def _ask(loop: asyncio.AbstractEventLoop, tell: Handle) -> None:
    future = loop.create_future()
    tell(future)
    async with asyncio.timeout(5):
        await future


def _answer(future: asyncio.Future[int]) -> None:
    future.set_result(1)


async def activate(count: int) -> float:
    async with anyio.create_task_group() as group:
        started = process_time()
        await _start_many(group, count)
        took = process_time() - started
        group.cancel_scope.cancel()
    return count / took


async def resident(count: int) -> float:
    async with anyio.create_task_group() as group:
        await _start_many(group, 1)
        before = resident_bytes()
        kept = await _start_many(group, count)
        each = (resident_bytes() - before) / len(kept)
        group.cancel_scope.cancel()
    return each


async def _start_many(group: TaskGroup, count: int) -> list[Handle]:
    tells = []
    for _ in range(count):
        tell = start(group, Counter())
        tell(None)
        tells.append(tell)
    done = anyio.Event()
    tells[-1](done)
    await done.wait()
    return tells


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
