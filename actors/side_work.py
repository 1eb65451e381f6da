"""Slow work an actor runs beside its mailbox: a model's answer, a long query.

At most four at once for each actor. The actor is not passivated while one runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from actors.mailbox import Order
from actors.workers import is_cancelling
from actors.world import DEADLINE

if TYPE_CHECKING:
    from actors.cell import Cell

SIDE_WORK_LIMIT = 4
Work = Callable[[], Awaitable[object]]


class SideWork:
    """What one actor runs; made with the first work, dropped with the last."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._scopes: dict[anyio.CancelScope, None] = {}

    def start(self, work: Work, *, within: float) -> bool:
        """False when the limit is reached."""
        if len(self._scopes) >= SIDE_WORK_LIMIT:
            return False
        scope = anyio.CancelScope()
        self._scopes[scope] = None
        world = self._cell.world
        run = self._run(work, within, scope)
        world.group.create_task(run, name=f"side work of {self._cell.id}", context=world.context)
        return True

    def cancel(self) -> None:
        """End all of it; nothing more is told to the actor."""
        for scope in self._scopes:
            scope.cancel()

    async def _run(self, work: Work, within: float, scope: anyio.CancelScope) -> None:
        cell, world = self._cell, self._cell.world
        if world.hooks.on_enter is not None:
            world.hooks.on_enter(cell.id)
        DEADLINE.set(world.time() + within)
        result: object = None
        try:
            with scope, anyio.fail_after(within):
                result = await work()
        except Exception as error:
            cell.report(error)
        except asyncio.CancelledError as error:
            if is_cancelling():
                raise
            cell.report(error)
        del self._scopes[scope]
        if not self._scopes and cell.side_work is self:
            cell.side_work = None
        if scope.cancel_called:
            return
        if result is not None:
            world.force(cell.id, result)
        elif cell.is_draining:
            cell.order(Order.PASSIVATE)
