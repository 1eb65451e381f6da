"""One address brought to life: its mailbox, its actor, and what happens when that one fails.

A cell has no task of its own: it is given turns by the workers while something waits. It is
scheduled while a turn, or a timer that leads to one, is on its way; else it is idle.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

from actors.actor import Actor, ActorId, Letter
from actors.context import CellContext
from actors.door import Door
from actors.errors import Reason
from actors.mailbox import Mailbox, Order
from actors.restart import NO_CRASHES, History, RestartIn, after_crash
from actors.side_work import SideWork
from actors.stats import locate
from actors.timers import EARLY_S
from actors.workers import is_cancelling
from actors.world import DEADLINE, Population, World

CLOCK_MASK = 3
"""Plain messages look at the clock only every fourth time: that is a tenth of their cost.
In between `now` is `inf`: later than any deadline, so that a letter looks for itself."""


class Cell(Door):
    """Owned by the router; senders see refs, actors see contexts."""

    __slots__ = (
        "_actor",
        "_batch_limit",
        "_history",
        "_idle_timeout_s",
        "_in_hand",
        "_is_idling",
        "_mark",
        "_marked_at",
        "_newborn",
        "_quiet_at",
        "busy_since",
        "is_gone",
        "is_over",
        "side_work",
    )

    def __init__(self, id: ActorId, population: Population, world: World) -> None:
        kind = population.kind
        limits: Actor[Any] | type[Actor[Any]] = Actor
        self._newborn: Actor[Any] | None = None
        try:
            limits = self._newborn = kind.factory(id.key)
        except Exception:
            pass  # the first turn calls it again, where its failure is supervised
        mailbox = Mailbox(kind.mailbox_limit or limits.mailbox_limit, kind.overflow)
        super().__init__(id, population, world, mailbox)
        timeout_s = limits.idle_timeout_s if kind.idle_timeout_s is None else kind.idle_timeout_s
        self._idle_timeout_s = inf if timeout_s is None else timeout_s
        self._batch_limit = kind.batch_limit or limits.batch_limit
        self.busy_since = 0.0
        self.is_gone = False
        self.is_over = False
        self.side_work: SideWork | None = None
        self._history: History = NO_CRASHES
        self._in_hand: Any = None
        self._actor: Actor[Any] | None = None
        self._is_idling = False
        self._mark = 0
        self._marked_at = 0.0
        self._quiet_at = 0.0

    # What timers and the router call; none of it waits.

    def order(self, order: Order) -> None:
        """Queue an order ahead of all messages."""
        self.mailbox.order(order)
        if not self._is_scheduled:
            self._schedule()

    def drain(self) -> None:
        """Refuse the outside world, finish what waits, passivate."""
        self.is_draining = True
        self.mailbox.wake_senders(all=True)
        if self.is_quarantined:
            self.abandon()
        else:
            self.order(Order.PASSIVATE)

    def idle_is_due(self) -> None:
        """The idle timeout of some earlier rest is over."""
        self._is_idling = False
        if self._is_scheduled:
            return
        if self._quiet_at + self._idle_timeout_s <= self.world.time() + EARLY_S:
            self.order(Order.PASSIVATE)
        else:
            self._await_idle()

    def abandon(self) -> None:
        """Give up at once: whoever waits gets ActorStopped."""
        self._bury_all([*self._letters_in_hand(), *self.mailbox.drain()], Reason.STOPPED)
        self._set_quarantined(False)
        self._leave()

    def evict(self) -> list[Any]:
        """Be found no more; finish what is in hand, passivate. What waited is given back."""
        self.is_draining = self.is_gone = True
        self._population.cells.pop(self.id.key, None)
        self.world.reminders.forget_all(self.id)
        if self.side_work is not None:
            self.side_work.cancel()
        waiting = self.mailbox.drain()
        self.mailbox.wake_senders(all=True)
        if self.is_quarantined:
            self.abandon()
        else:
            self.order(Order.PASSIVATE)
        return waiting

    # The turn.

    async def turn(self, share: int, now: float, until: float) -> int:
        """Handle up to `share` messages until loop time `until`; the count of those taken."""
        if self.world.hooks.on_enter is not None:
            self.world.hooks.on_enter(self.id)
        try:
            if self.mailbox.orders:
                await self._obey(self.mailbox.take_order())
                if self.is_over:
                    return 1
            actor = self._actor
            if actor is None:
                actor, now = await self._activate(), self.world.time()
            if self._batch_limit > 1:
                taken = await self._take_batches(actor, share, until)
            else:
                taken = await self._take_singly(actor, share, now, until)
        except Exception as error:
            self._crashed(error)
            return 1
        except asyncio.CancelledError as error:
            if is_cancelling():
                raise
            self._crashed(error)
            return 1
        self._in_hand = None
        self._after_turn(taken)
        return taken

    async def _activate(self) -> Actor[Any]:
        actor = self._newborn or self._population.kind.factory(self.id.key)
        self._newborn = None
        actor.context = CellContext(self)
        await actor.on_activate()
        self._actor = actor
        return actor

    async def _take_singly(self, actor: Actor[Any], share: int, now: float, until: float) -> int:
        mailbox, time, observe = self.mailbox, self.world.time, self.world.hooks.observe
        receive = actor.receive
        queue = mailbox.queue or ()
        take = queue.popleft if queue and self._population.kind.overflow is None else mailbox.take
        taken = 0
        is_limited = False
        try:
            while queue:
                item = self._in_hand = take()
                taken += 1
                if type(item) is not Letter:
                    if is_limited:
                        is_limited = False
                        DEADLINE.set(inf)
                    await receive(item)
                    if taken & CLOCK_MASK and observe is None and not mailbox.orders:
                        now = inf
                        continue
                elif item.deadline <= now and item.deadline <= (now := time()):
                    self._bury_all([item], Reason.EXPIRED)
                else:
                    is_limited = True
                    DEADLINE.set(item.deadline)
                    item.reply(await receive(item.message))
                started, now = now, time()
                if observe is not None:
                    observe(self.id, _type_name(item), now - started)
                if now >= until or taken >= share or mailbox.orders:
                    break
        finally:
            self._population.counters.handled += taken
            if is_limited:
                DEADLINE.set(inf)
        return taken

    async def _take_batches(self, actor: Actor[Any], share: int, until: float) -> int:
        mailbox, time, observe = self.mailbox, self.world.time, self.world.hooks.observe
        taken = 0
        try:
            while mailbox.queue:
                started = time()
                letters = self._in_hand = self._next_batch(started)
                taken += len(letters)
                DEADLINE.set(max([letter.deadline for letter in letters], default=inf))
                if letters:
                    await actor.receive_batch(letters)
                now = time()
                if observe is not None:
                    for letter in letters:
                        observe(self.id, _type_name(letter), now - started)
                if now >= until or taken >= share or mailbox.orders:
                    break
        finally:
            self._population.counters.handled += taken
            DEADLINE.set(inf)
        return taken

    def _next_batch(self, now: float) -> list[Letter[Any]]:
        """What is handled together; a letter that was in a crash is handled alone."""
        mailbox = self.mailbox
        batch: list[Letter[Any]] = []
        while mailbox.queue and len(batch) < self._batch_limit:
            item = mailbox.take()
            letter = item if type(item) is Letter else Letter(item)
            if letter.deadline <= now:
                self._bury_all([letter], Reason.EXPIRED)
            else:
                batch.append(letter)
            if letter.crashes > 0:  # these lie in front
                break
        return batch

    def _after_turn(self, taken: int) -> None:
        mailbox = self.mailbox
        if mailbox.senders is not None:
            mailbox.wake_senders()
        if mailbox.queue or mailbox.orders:
            self._note_age(taken)
            self.world.workers.add(self)
        elif self.is_draining and self.side_work is None:
            mailbox.order(Order.PASSIVATE)
            self.world.workers.add(self)
        else:
            self._rest(self.world.time())

    def _rest(self, now: float) -> None:
        self.mailbox.queue = None
        self._is_scheduled = False
        self._mark = 0
        self._quiet_at = now
        if not self._is_idling and self._idle_timeout_s < inf:
            self._await_idle()

    def _await_idle(self) -> None:
        self._is_idling = True
        self.world.idle.add(self, None, self._quiet_at + self._idle_timeout_s)

    def _schedule(self) -> None:
        self._is_scheduled = True
        self.busy_since = self.world.time()
        self.world.workers.add(self)

    def _note_age(self, taken: int) -> None:
        # What waits now came after the last mark once as many were taken as waited then.
        self._mark -= taken
        if self._mark <= 0:
            self.busy_since = self._marked_at or self.busy_since
            self._mark = len(self.mailbox)
            self._marked_at = self.world.time()

    def oldest_s(self, now: float) -> float:
        """Upper bound of how long the oldest message waits or is being handled."""
        return now - self.busy_since if self._is_scheduled else 0.0

    # The end of an incarnation.

    async def _obey(self, order: Order) -> None:
        if order is Order.STOP:
            self._bury_all(self.mailbox.drain(), Reason.STOPPED)
            await self._passivate()
            self._end()
        elif self._may_passivate():
            await self._passivate()
        else:
            return
        if not self.mailbox.queue:
            self._leave()

    def _may_passivate(self) -> bool:
        if self.mailbox.queue or self.side_work is not None:
            return False
        return self.is_draining or self._actor is None or self._actor.may_passivate()

    async def _passivate(self) -> None:
        actor, self._actor = self._actor, None
        if actor is None:
            return
        try:
            await actor.on_passivate()
        except Exception as error:
            self.report(error)
        except asyncio.CancelledError as error:
            if is_cancelling():
                raise
            self.report(error)

    def _end(self) -> None:
        if self.side_work is not None:
            self.side_work.cancel()
        self.world.reminders.forget_all(self.id)
        self.world.watches.forget_all(self.id)
        self._tell_watchers()

    def _leave(self) -> None:
        if not self.is_gone:
            self._population.cells.pop(self.id.key, None)
        self.is_gone = self.is_over = True
        self.mailbox.wake_senders(all=True)
        self.world.departed.set()

    def _tell_watchers(self) -> None:
        for watcher, message in self.world.watches.take(self.id):
            self.world.force(watcher, message)

    # Failure.

    def report(self, error: BaseException) -> None:
        """Count a failure and call the hook."""
        counters = self._population.counters
        counters.failed += 1
        counters.last_error = locate(error)
        if self.world.hooks.on_crash is not None:
            self.world.hooks.on_crash(self.id, error)

    def _crashed(self, error: BaseException) -> None:
        self.report(error)
        self._actor = None
        if self.is_gone:  # evicted: a second incarnation would work beside the one elsewhere
            self.abandon()
            return
        self.mailbox.put_back(self._guilty_set_aside())
        policy = self._population.kind.restart
        now, chance = self.world.time(), self.world.random.random()
        self._history, verdict = after_crash(policy, self._history, now=now, chance=chance)
        if isinstance(verdict, RestartIn):
            self._population.counters.restarts += 1
            self._resume_in(verdict.delay_s)
        else:
            self._set_quarantined(True)
            self._bury_all(self.mailbox.take_asked(), Reason.UNAVAILABLE)
            self.mailbox.wake_senders(all=True)
            self._tell_watchers()
            if self.is_draining:
                self.abandon()
            else:
                self._resume_in(verdict.duration_s)

    def _guilty_set_aside(self) -> list[Letter[Any]]:
        again = []
        for letter in self._letters_in_hand():
            letter.crashes += 1
            if letter.crashes > 1:
                self._bury_all([letter], Reason.POISON)
            else:
                again.append(letter)
        return again

    def _letters_in_hand(self) -> list[Letter[Any]]:
        item, self._in_hand = self._in_hand, None
        if item is None:
            return []
        items = item if isinstance(item, list) else [item]
        letters = [each if type(each) is Letter else Letter(each) for each in items]
        return [letter for letter in letters if not letter.settled]

    def _resume_in(self, delay_s: float) -> None:
        if delay_s > 0.0:
            self.world.loop.call_later(delay_s, self._resume)
        else:
            self._resume()

    def _resume(self) -> None:
        if self.is_over:
            return
        was_quarantined = self.is_quarantined
        self._set_quarantined(False)
        if was_quarantined and not self.mailbox.queue and self._idle_timeout_s < inf:
            self._rest(self.world.time())  # nobody waits: the next message is the next try
        else:
            self.world.workers.add(self)

    def _set_quarantined(self, value: bool) -> None:
        self._population.counters.quarantined += int(value) - int(self.is_quarantined)
        self.is_quarantined = value


def _type_name(item: object) -> str:
    return type(item.message if isinstance(item, Letter) else item).__name__
