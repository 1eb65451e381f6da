"""What all cells of one router share: loop, chance, hooks, timers, workers, watchers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from anyio.abc import TaskGroup

from actors.actor import Actor, ActorId, Ref
from actors.errors import DeadlineExceeded
from actors.mailbox import OverflowPolicy
from actors.restart import USUAL, RestartPolicy
from actors.stats import Counters, DeadLetters, SupervisionNode
from actors.timers import Reminders, Wheel
from actors.watches import Watches
from actors.workers import Workers

if TYPE_CHECKING:
    from actors.cell import Cell

DEADLINE: ContextVar[float] = ContextVar("actors.deadline", default=inf)
"""Loop time until which the sender of the message being handled waits."""

INSIDE: ContextVar[object] = ContextVar("actors.inside", default=None)
"""The world whose actor is running: while it drains, only its own actors may still send."""

ASK_TICK_S = 0.01
IDLE_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of actor: how one is made, and what it overrides of its class."""

    name: str
    factory: Callable[[str], Actor[Any]]
    """Makes the actor with this key. Cheap: loading belongs in `on_activate`."""
    mailbox_limit: int | None = None
    batch_limit: int | None = None
    idle_timeout_s: float | None = None
    """`math.inf` means never; None leaves it to the class."""
    overflow: OverflowPolicy | None = None
    restart: RestartPolicy = USUAL


@dataclass(slots=True)
class Population:
    """The living actors of one kind."""

    kind: Kind
    counters: Counters = field(default_factory=Counters)
    cells: dict[str, Cell] = field(default_factory=dict)

    def node(self, now: float) -> SupervisionNode:
        """How they are at loop time `now`."""
        counters = self.counters
        depths = [len(cell.mailbox) for cell in self.cells.values()]
        ages = [cell.oldest_s(now) for cell in self.cells.values()]
        return SupervisionNode(
            kind=self.kind.name,
            count=len(self.cells),
            depth=sum(depths),
            depth_max=max(depths, default=0),
            oldest_s=max(ages, default=0.0),
            handled=counters.handled,
            failed=counters.failed,
            restarts=counters.restarts,
            quarantined=counters.quarantined,
            dead_letters={reason.value: n for reason, n in counters.dead_letters.items()},
            last_error=counters.last_error,
        )


@dataclass(frozen=True, slots=True)
class Hooks:
    """Calls out of the runtime. One that raises ends the router."""

    on_crash: Callable[[ActorId, BaseException], None] | None = None
    on_enter: Callable[[ActorId], object] | None = None
    observe: Callable[[ActorId, str, float], None] | None = None


class World:
    """Made when the router starts, gone when it ends."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        group: TaskGroup,
        context: Context,
        random: random.Random,
        hooks: Hooks,
        ref: Callable[[str, str], Ref[Any]],
        force: Callable[[ActorId, object], None],
        dead_letters: DeadLetters,
    ) -> None:
        self.loop = loop
        self.time = loop.time
        self.group = group
        self.context = context
        self.random = random
        self.hooks = hooks
        self.ref = ref
        self.force = force
        self.dead_letters = dead_letters
        self.workers = Workers(loop, group, context)
        self.reminders = Reminders(loop, force)
        self.asks: Wheel[asyncio.Future[Any], ActorId] = Wheel(loop, ASK_TICK_S, _expire)
        self.idle: Wheel[Cell, None] = Wheel(loop, IDLE_TICK_S, _passivate)
        self.watches = Watches()
        self.departed = asyncio.Event()

    def close(self) -> None:
        """End every task and timer."""
        self.group.cancel_scope.cancel()
        self.workers.close()
        self.reminders.close()
        self.asks.close()
        self.idle.close()


def _expire(future: asyncio.Future[Any], id: ActorId) -> None:
    if not future.done():
        future.set_exception(DeadlineExceeded(f"{id} did not answer before the deadline"))


def _passivate(cell: Cell, _: None) -> None:
    cell.idle_is_due()
