"""The live `Ref`: keeps hold of the cell it found last, so that sending again costs little."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from actors.actor import ActorId, Letter, Request
from actors.errors import DeadlineExceeded, Reason, error_for
from actors.world import DEADLINE

if TYPE_CHECKING:
    from actors.cell import Cell
    from actors.router import Router

R = TypeVar("R")


class RouterRef:
    """An address with the router that knows the way there."""

    __slots__ = ("_cell", "_router", "id")

    def __init__(self, router: Router, id: ActorId) -> None:
        self.id = id
        self._router = router
        self._cell: Cell | None = None

    def __repr__(self) -> str:
        return f"<ref {self.id}>"

    def tell(self, message: Any, /) -> bool:
        cell = self._cell
        if cell is None or cell.is_gone:
            cell = self._cell = self._router.find(self.id)
            if cell is None:
                return self._tell_elsewhere(message) is None
        return cell.tell(message)

    async def send(self, message: Any, /, *, within: float) -> None:
        deadline = min(asyncio.get_running_loop().time() + within, DEADLINE.get())
        while True:
            cell = self._router.find(self.id)
            if cell is None:
                refusal = self._tell_elsewhere(message)
                if refusal is not None:
                    raise error_for(self.id, refusal)
                return
            room = cell.put_or_wait(message)
            if room is None:
                return
            await self._wait_for_room(cell, room, message, deadline)

    async def _wait_for_room(
        self, cell: Cell, room: asyncio.Future[None], message: object, deadline: float
    ) -> None:
        bucket = cell.world.asks.add(room, self.id, deadline)
        try:
            await room
        except DeadlineExceeded:
            reason = self._router.bury(self.id, message, Reason.OVERFLOW)
            raise error_for(self.id, reason) from None
        except asyncio.CancelledError:
            cell.mailbox.wake_senders()  # the room it was woken for is another's now
            raise
        finally:
            bucket.pop(room, None)

    async def ask(self, message: Request[R], /, *, within: float) -> R:
        cell = self._cell
        if cell is None or cell.is_gone:
            cell = self._cell = self._router.find(self.id)
            if cell is None:
                return cast(R, await self._ask_elsewhere(message, within))
        world = cell.world
        now = world.time()
        deadline, inherited = now + within, DEADLINE.get()
        if inherited < deadline:
            deadline = inherited
        if deadline <= now:
            raise error_for(self.id, Reason.EXPIRED)
        future: asyncio.Future[R] = world.loop.create_future()
        cell.ask(Letter(message, deadline, future))
        bucket = world.asks.add(future, self.id, deadline)
        try:
            return await future
        finally:
            bucket.pop(future, None)

    def _tell_elsewhere(self, message: object) -> Reason | None:
        """Send it to another instance, or say why not."""
        router = self._router
        if router.transport is None or not router.is_elsewhere(self.id):
            return router.refuse(self.id, message)
        if not router.transport.tell(self.id, message):
            return router.bury(self.id, message, Reason.UNAVAILABLE)
        return None

    async def _ask_elsewhere(self, message: object, within: float) -> object:
        router = self._router
        if router.transport is None or not router.is_elsewhere(self.id):
            raise error_for(self.id, router.refuse(self.id, message))
        within = min(within, DEADLINE.get() - asyncio.get_running_loop().time())
        if within <= 0:
            raise error_for(self.id, Reason.EXPIRED)
        return await router.transport.ask(self.id, message, within=within)
