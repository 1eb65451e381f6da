"""Looks every few seconds whether the team should be told: somebody waits too long, nobody is
there, too much fails or takes too long. Told by mail and robots, once in a while, and when it is
over.

Each instance looks; what is true of all (the queue, who is online) is read from what all share, and
the board sees to it that one of them speaks.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import anyio
from msgspec import Struct

from kefu.clock import Clock
from kefu.errors import Problem
from kefu.notifications import store
from kefu.notifications.board import Board
from kefu.notifications.options import AlertOptions
from kefu.notifications.render import alert_line
from kefu.notifications.state import Alert, Limits, Reading, alarming
from kefu.notifications.texts import words_of
from kefu.shifts.messages import Shifts
from kefu.storage.database import DatabasePool, connected
from kefu.storage.errors import StoreUnavailable

LOOK_EVERY_S: Final = 10.0
ASK_WITHIN_S: Final = 5.0
log = logging.getLogger("kefu.notifications")


class Sources(Struct, frozen=True):
    """Where the figures come from. None: not known now, or too few to judge by.

    `online_count` is how many agents are online, on all instances; it may raise `Problem`.
    """

    online_count: Callable[[], Awaitable[int | None]]
    error_rate: Callable[[], float | None] = lambda: None
    latency_s: Callable[[], float | None] = lambda: None


class Mailbox(Protocol):
    async def post_alert(self, alert: Alert) -> None:
        """Raises StoreUnavailable."""
        ...


class Speaker(Protocol):
    def tell(self, text: str) -> None: ...


class World(Struct, frozen=True):
    pool: DatabasePool
    clock: Clock
    shifts: Shifts
    board: Board
    mailbox: Mailbox
    speaker: Speaker


class Watch:
    """Start `run()` in a task of its own."""

    def __init__(self, world: World, sources: Sources, options: AlertOptions) -> None:
        self._world = world
        self._sources = sources
        self._limits = Limits(
            options.alert_wait_s, options.alert_error_rate, options.alert_latency_s
        )
        self._words = words_of(options.mail_locale)

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except Exception:
                log.exception("watch_failed")

    async def look(self) -> None:
        """Look once, and tell what is to be told."""
        board = self._world.board
        for kind, alert in alarming(await self._reading(), self._limits).items():
            if alert is not None:
                if await board.is_ours_to_tell(kind):
                    await self._tell(alert)
            elif await board.is_ours_to_clear(kind):
                await self._tell(Alert(kind, is_over=True))

    async def _reading(self) -> Reading:
        now = self._world.clock.now()
        count, longest_wait_s = None, 0.0
        try:
            async with connected(self._world.pool) as connection:
                count, since = await store.waiting(connection)
            longest_wait_s = 0.0 if since is None else (now - since).total_seconds()
        except StoreUnavailable:
            log.warning("queue_unread")
        return Reading(
            waiting_count=count,
            longest_wait_s=longest_wait_s,
            online_count=await self._online_count() if count else None,
            is_on_duty=self._world.shifts.duty(now).is_open,
            error_rate=self._sources.error_rate(),
            latency_s=self._sources.latency_s(),
        )

    async def _online_count(self) -> int | None:
        try:
            with anyio.fail_after(ASK_WITHIN_S):
                return await self._sources.online_count()
        except (Problem, StoreUnavailable, TimeoutError):
            return None

    async def _tell(self, alert: Alert) -> None:
        log.warning("alert_told", extra={"kind": alert.kind, "is_over": alert.is_over})
        self._world.speaker.tell(alert_line(alert, self._words))
        try:
            await self._world.mailbox.post_alert(alert)
        except StoreUnavailable:
            log.warning("alert_unmailed", extra={"kind": alert.kind})
