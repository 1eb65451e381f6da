"""The root of all actors of one instance: finds or makes the actor behind an address.

Leaving `async with` drains it. An error of the router itself (not of an actor) comes out of the
`async with`, as an exception group: the process should exit and be started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from contextvars import copy_context
from math import inf
from random import Random
from types import TracebackType
from typing import Any

import anyio
from anyio.abc import TaskStatus

from actors.actor import Actor, ActorId, Letter, Ref
from actors.cell import Cell
from actors.errors import Reason, error_for
from actors.ref import RouterRef
from actors.remote import Transport
from actors.stats import DeadLetter, DeadLetters, SupervisionNode, format_tree, total
from actors.world import DEADLINE, INSIDE, Hooks, Kind, Population, World

Readdress = Callable[[ActorId, object, "asyncio.Future[Any] | None", float], None]
"""Sends a message to wherever the actor is now: id, message, where the asker waits, and for how
many seconds."""


class Router:
    """Owns every cell of this instance. Enter it once."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        *,
        random: Random,
        transport: Transport | None = None,
        on_crash: Callable[[ActorId, BaseException], None] | None = None,
        on_enter: Callable[[ActorId], object] | None = None,
        observe: Callable[[ActorId, str, float], None] | None = None,
        drain_within_s: float = 10.0,
    ) -> None:
        """`on_crash(id, error)` after each failure; `on_enter(id)` before each turn, for logging
        to bind the id; `observe(id, message_type, took_s)` after each message handled.

        A hook must not raise: that ends the router.
        """
        self.transport = transport
        self._random = random
        self._hooks = Hooks(on_crash, on_enter, observe)
        self._drain_within_s = drain_within_s
        self._populations = {kind.name: Population(kind) for kind in kinds}
        self._strays = Population(Kind("elsewhere", lambda key: Actor[Any]()))
        self._dead_letters = DeadLetters()
        self._exit = AsyncExitStack()
        self._world: World | None = None
        self._is_draining = False

    async def __aenter__(self) -> Router:
        # What runs lives in a group of its own, so that stopping does not cancel the caller.
        group = await self._exit.enter_async_context(anyio.create_task_group())
        self._exit.push_async_exit(self._leave)
        self._world = await group.start(self._root)
        if self.transport is not None:
            self.transport.attach(self.deliver)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        if isinstance(exc, Exception):
            # The caller's own error goes on as it is, not wrapped in a group.
            await self._leave(None, exc, None)
            await self._exit.aclose()
            return None
        return await self._exit.__aexit__(exc_type, exc, trace)

    async def _root(self, *, task_status: TaskStatus[World]) -> None:
        async with anyio.create_task_group() as group:
            context = copy_context()
            world = World(
                loop=asyncio.get_running_loop(),
                group=group,
                context=context,
                random=self._random,
                hooks=self._hooks,
                ref=self.ref,
                force=self._force,
                dead_letters=self._dead_letters,
            )
            context.run(DEADLINE.set, inf)
            context.run(INSIDE.set, world)
            task_status.started(world)
            try:
                await anyio.sleep_forever()
            finally:
                world.workers.close()

    async def _leave(self, _: object, error: BaseException | None, __: object) -> None:
        await self.stop(within=self._drain_within_s if error is None else 0.0)

    async def stop(self, *, within: float) -> None:
        """Refuse what comes from outside, let every actor finish and passivate, then end.

        What still runs after `within` seconds is cancelled; whoever waits gets ActorStopped.
        """
        world = self._world
        if world is None:
            return
        self._is_draining = True
        try:
            with anyio.move_on_after(within):
                await self._drain(world)
        finally:
            self._end(world)

    async def _drain(self, world: World) -> None:
        while cells := self._cells():
            world.departed.clear()
            for cell in cells:
                if not cell.is_draining:
                    cell.drain()
            if self._cells():
                await world.departed.wait()

    def _end(self, world: World) -> None:
        self._world = None
        world.close()
        for cell in self._cells():
            cell.abandon()
        if self.transport is not None:
            self.transport.detach()

    async def evict(
        self, is_leaving: Callable[[ActorId], bool], readdress: Readdress, *, within: float
    ) -> None:
        """Let actors go to another instance: forget them here, and send after them what waits.

        The transport must not call them local any more. Returns when what each of them had in
        hand is done, at most `within` seconds later. Questions that came from other instances end
        in ActorStopped: their askers know the way.
        """
        world = self._world
        if world is None:
            return
        leaving = [cell for cell in self._cells() if is_leaving(cell.id)]
        for cell in leaving:
            for item in cell.evict():
                _send_after(cell.id, item, readdress, world.time())
        with anyio.move_on_after(within):
            while not all(cell.is_over for cell in leaving):
                world.departed.clear()
                await world.departed.wait()

    def ref(self, kind: str, key: str) -> Ref[Any]:
        """The address of an actor, alive or not, here or elsewhere."""
        return RouterRef(self, ActorId(kind, key))

    def find(self, id: ActorId) -> Cell | None:
        """The cell behind an address, made if need be; None when there can be none here."""
        population = self._populations.get(id.kind)
        if population is None or self._world is None:
            return None
        cell = population.cells.get(id.key)
        if cell is None and (self.transport is None or self.transport.is_local(id)):
            return self._make(id, population, self._world)
        return cell

    def _make(self, id: ActorId, population: Population, world: World) -> Cell | None:
        if self._is_draining and INSIDE.get() is not world:
            return None
        cell = population.cells[id.key] = Cell(id, population, world)
        if self._is_draining:
            cell.drain()
        return cell

    def _force(self, id: ActorId, message: object) -> None:
        population, world = self._populations[id.kind], self._world
        cell = population.cells.get(id.key)
        if cell is None and self.is_elsewhere(id):
            return  # it left this instance meanwhile, and its reminders with it
        if cell is None and world is not None:
            cell = world.context.copy().run(self._make, id, population, world)
        if cell is None:
            self.bury(id, message, Reason.STOPPED)
        else:
            cell.force(message)

    def is_elsewhere(self, id: ActorId) -> bool:
        """Whether another instance owns a known kind of actor."""
        if self._world is None or id.kind not in self._populations:
            return False
        return self.transport is not None and not self.transport.is_local(id)

    def refuse(self, id: ActorId, message: object) -> Reason:
        """Note a message for which no cell can be found, and say why."""
        is_known = id.kind in self._populations
        return self.bury(id, message, Reason.STOPPED if is_known else Reason.NO_ROUTE)

    def bury(self, id: ActorId, message: object, reason: Reason) -> Reason:
        """Note a dead letter and return the reason."""
        population = self._populations.get(id.kind, self._strays)
        at = self._world.time() if self._world is not None else 0.0
        self._dead_letters.add(population.counters, id, message, reason, at)
        return reason

    def deliver(
        self, id: ActorId, message: object, *, within: float | None
    ) -> asyncio.Future[Any] | None:
        """Queue what another instance sent; see `remote.Deliver`."""
        population, world = self._populations.get(id.kind), self._world
        if population is None or world is None:
            raise error_for(id, self.refuse(id, message))
        cell = population.cells.get(id.key) or self._make(id, population, world)
        if cell is None:
            raise error_for(id, self.refuse(id, message))
        if within is None:
            cell.ask(Letter(message))
            return None
        future: asyncio.Future[Any] = world.loop.create_future()
        deadline = world.time() + within
        cell.ask(Letter(message, deadline, future, is_foreign=True))
        bucket = world.asks.add(future, id, deadline)
        future.add_done_callback(lambda done: bucket.pop(done, None))
        return future

    @property
    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The last thousand messages nobody handled, oldest first."""
        return tuple(self._dead_letters)

    def tree(self) -> SupervisionNode:
        """How all actors are, now."""
        now = self._world.time() if self._world is not None else 0.0
        populations = list(self._populations.values())
        if self._strays.counters.dead_letters:
            populations.append(self._strays)
        return total("router", (population.node(now) for population in populations))

    def format_tree(self) -> str:
        """The tree as text."""
        return format_tree(self.tree())

    def _cells(self) -> list[Cell]:
        return [cell for each in self._populations.values() for cell in each.cells.values()]


def _send_after(id: ActorId, item: Any, readdress: Readdress, now: float) -> None:
    """An actor has left; what waited for it follows, or its asker is told."""
    if not isinstance(item, Letter):
        readdress(id, item, None, inf)
    elif item.is_foreign:
        item.fail(error_for(id, Reason.STOPPED))
    elif not item.settled and item.deadline > now:
        readdress(id, item.message, item.answer, item.deadline - now)
