"""The side of a cell that senders meet: it takes a message, or refuses it and says why.

Nothing here waits. What is refused is noted as a dead letter, by type name only.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from actors.actor import ActorId, Letter
from actors.errors import Reason, error_for
from actors.mailbox import Mailbox
from actors.world import INSIDE, Population, World


class Door(ABC):
    """Whatever it takes gets `_schedule`d by the cell behind it."""

    __slots__ = (
        "_is_scheduled",
        "_population",
        "id",
        "is_draining",
        "is_quarantined",
        "mailbox",
        "world",
    )

    def __init__(self, id: ActorId, population: Population, world: World, mailbox: Mailbox) -> None:
        self.id = id
        self.mailbox = mailbox
        self.world = world
        self.is_draining = False
        self.is_quarantined = False
        self._is_scheduled = False
        self._population = population

    @abstractmethod
    def _schedule(self) -> None:
        """Ask for a turn; `_is_scheduled` from now on."""

    def tell(self, message: object) -> bool:
        """Queue it; False when refused."""
        if self.is_quarantined or self.is_draining:
            refusal = self._refusal()
            if refusal is not None:
                self._bury(message, refusal)
                return False
        if not self.mailbox.put(message) and not self._make_room(message):
            self._bury(message, Reason.OVERFLOW)
            return False
        if not self._is_scheduled:
            self._schedule()
        return True

    def ask(self, letter: Letter[Any]) -> None:
        """Queue it. Raises MailboxFull, ActorUnavailable or ActorStopped."""
        if self.is_quarantined or self.is_draining:
            self.must_be_open(letter)
        if not self.mailbox.put(letter) and not self._make_room(letter):
            self._bury(letter, Reason.OVERFLOW)
            raise error_for(self.id, Reason.OVERFLOW)
        if not self._is_scheduled:
            self._schedule()

    def put_or_wait(self, message: object) -> asyncio.Future[None] | None:
        """None when it was taken, else what to wait for before trying again.

        Raises ActorUnavailable or ActorStopped.
        """
        self.must_be_open(message)
        if not self.mailbox.put(message) and not self._make_room(message):
            room = self.world.loop.create_future()
            self.mailbox.wait_for_room(room)
            return room
        if not self._is_scheduled:
            self._schedule()
        return None

    def force(self, message: object) -> None:
        """Queue what the actor told itself, whatever the limit: that has limits of its own."""
        self.mailbox.force(message)
        if not self._is_scheduled:
            self._schedule()

    def must_be_open(self, item: object) -> None:
        """Raises ActorUnavailable or ActorStopped when nothing is taken now."""
        refusal = self._refusal()
        if refusal is not None:
            self._bury(item, refusal)
            raise error_for(self.id, refusal)

    def _refusal(self) -> Reason | None:
        if self.is_quarantined:
            return Reason.UNAVAILABLE
        if self.is_draining and INSIDE.get() is not self.world:
            return Reason.STOPPED
        return None

    def _make_room(self, item: object) -> bool:
        dropped = self.mailbox.make_room(item)
        if dropped is None:
            return False
        self._bury(dropped, Reason.OVERFLOW)
        self.mailbox.force(item)
        return True

    def _bury(self, item: object, reason: Reason) -> None:
        world = self.world
        world.dead_letters.add(self._population.counters, self.id, item, reason, world.time())

    def _bury_all(self, items: Sequence[object], reason: Reason) -> None:
        for item in items:
            self._bury(item, reason)
            if isinstance(item, Letter):
                item.fail(error_for(self.id, reason))
