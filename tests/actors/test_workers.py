"""The tasks that run the cells."""

import asyncio
from contextvars import copy_context

import anyio

from actors.workers import LINGERING_LIMIT, Workers
from tests.actors.stage import elapse


class Turns:
    """Counts its turns; waits in each until `opened`."""

    def __init__(self) -> None:
        self.count = 0
        self.opened = asyncio.Event()

    async def turn(self, share: int, now: float, until: float) -> int:
        self.count += 1
        await self.opened.wait()
        return 0


async def test_a_turn_that_waits_holds_up_nobody_and_few_tasks_linger() -> None:
    turns = Turns()
    async with anyio.create_task_group() as group:
        workers = Workers(asyncio.get_running_loop(), group, copy_context())
        before = len(asyncio.all_tasks())
        for _ in range(2 * LINGERING_LIMIT):
            workers.add(turns)
        await elapse(1)
        assert turns.count == 2 * LINGERING_LIMIT
        turns.opened.set()
        await elapse(1)
        assert len(asyncio.all_tasks()) - before == LINGERING_LIMIT
        workers.add(turns)
        await elapse(1)
        assert turns.count == 2 * LINGERING_LIMIT + 1
        group.cancel_scope.cancel()


async def test_adding_to_cancelled_workers_is_harmless() -> None:
    turns = Turns()
    turns.opened.set()
    async with anyio.create_task_group() as group:
        workers = Workers(asyncio.get_running_loop(), group, copy_context())
        workers.add(turns)
        await elapse(1)
        group.cancel_scope.cancel()
        workers.add(turns)
    workers.close()
    workers.add(turns)
    assert turns.count == 2  # the task made after the cancellation runs until it first waits


async def test_turns_that_do_not_wait_need_no_more_than_two_tasks() -> None:
    turns = Turns()
    turns.opened.set()
    async with anyio.create_task_group() as group:
        workers = Workers(asyncio.get_running_loop(), group, copy_context())
        before = len(asyncio.all_tasks())
        for _ in range(100):
            workers.add(turns)
        await elapse(1)
        assert turns.count == 100
        assert len(asyncio.all_tasks()) - before <= 2
        group.cancel_scope.cancel()
