"""Deadlines for many at the price of one timer, and reminders by key.

A deadline on the wheel is kept to within one tick, never early by more than a millisecond.
Entries are kept in insertion order, not in sets, so that a run can be replayed exactly.
"""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Generic, TypeVar

from actors.actor import ActorId
from actors.errors import LimitReached

K = TypeVar("K")
V = TypeVar("V")
REMINDER_LIMIT = 256
EARLY_S = 0.001


class Wheel(Generic[K, V]):
    """Calls `on_due(key, value)` when the moment of an entry has come."""

    __slots__ = ("_buckets", "_loop", "_on_due", "_tick_s", "_ticks", "_ticks_per_s", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tick_s: float, on_due: Callable[[K, V], None]
    ) -> None:
        self._loop = loop
        self._tick_s = tick_s
        self._ticks_per_s = 1 / tick_s
        self._on_due = on_due
        self._buckets: dict[int, dict[K, V]] = {}
        self._ticks: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: K, value: V, at: float) -> dict[K, V]:
        """Enter it for loop time `at`; `.pop(key, None)` on what is returned takes it out."""
        tick = int(at * self._ticks_per_s) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heappush(self._ticks, tick)
            if self._ticks[0] == tick:
                self._arm()
        bucket[key] = value
        return bucket

    def close(self) -> None:
        """Forget every entry."""
        self._buckets.clear()
        self._ticks.clear()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ticks:
            self._timer = self._loop.call_at(self._ticks[0] * self._tick_s, self._turn)

    def _turn(self) -> None:
        now = self._loop.time() + EARLY_S
        while self._ticks and self._ticks[0] * self._tick_s <= now:
            bucket = self._buckets.pop(heappop(self._ticks))
            for key, value in list(bucket.items()):
                self._on_due(key, value)
        self._arm()


class Reminders:
    """Messages to be told later, by actor and key. They outlive the actor's incarnations."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[ActorId, object], None]
    ) -> None:
        self._loop = loop
        self._deliver = deliver
        self._by_id: dict[ActorId, dict[str, asyncio.TimerHandle]] = {}

    def set(self, id: ActorId, key: str, delay_s: float, message: object) -> None:
        """Remind `id` after the delay, instead of what was set under the key before."""
        self.forget(id, key)
        timers = self._by_id.setdefault(id, {})
        if len(timers) >= REMINDER_LIMIT:
            raise LimitReached(f"{id} already has {REMINDER_LIMIT} reminders")
        timers[key] = self._loop.call_later(max(delay_s, 0.0), self._due, id, key, message)

    def forget(self, id: ActorId, key: str) -> None:
        timers = self._by_id.get(id)
        if timers is None:
            return
        timer = timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if not timers:
            del self._by_id[id]

    def forget_all(self, id: ActorId) -> None:
        for timer in self._by_id.pop(id, {}).values():
            timer.cancel()

    def close(self) -> None:
        for id in list(self._by_id):
            self.forget_all(id)

    def _due(self, id: ActorId, key: str, message: object) -> None:
        self.forget(id, key)
        self._deliver(id, message)
