"""What a running actor may do: the live `Context`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING, Any

from actors.actor import Ref
from actors.mailbox import Order
from actors.side_work import SideWork
from actors.world import DEADLINE

if TYPE_CHECKING:
    from actors.cell import Cell


class CellContext:
    """The context of the actor in one cell."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    @property
    def me(self) -> Ref[Any]:
        return self.ref(*self._cell.id)

    @property
    def deadline(self) -> float | None:
        deadline = DEADLINE.get()
        return None if deadline == inf else deadline

    @property
    def is_draining(self) -> bool:
        return self._cell.is_draining

    @property
    def is_evicted(self) -> bool:
        return self._cell.is_gone

    def now(self) -> float:
        return self._cell.world.time()

    def ref(self, kind: str, key: str) -> Ref[Any]:
        return self._cell.world.ref(kind, key)

    def remind(self, key: str, delay_s: float, message: Any) -> None:
        self._cell.world.reminders.set(self._cell.id, key, delay_s, message)

    def forget(self, key: str) -> None:
        self._cell.world.reminders.forget(self._cell.id, key)

    def spawn(self, work: Callable[[], Awaitable[Any]], *, within: float) -> bool:
        if self._cell.side_work is None:
            self._cell.side_work = SideWork(self._cell)
        return self._cell.side_work.start(work, within=within)

    def stop(self) -> None:
        self._cell.order(Order.STOP)

    def watch(self, ref: Ref[Any], message: Any) -> None:
        self._cell.world.watches.add(self._cell.id, ref.id, message)
