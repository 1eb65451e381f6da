"""What waits for one actor: bounded, orders first, the rest in the order it came. Synchronous.

A plain message lies in the queue as it is; one with an asker or a past lies in a `Letter`. The
queue exists only while something is in it, because an empty deque takes more memory than the
rest of an idle actor.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from actors.actor import Letter


class Order(Enum):
    """What the runtime tells an actor's cell, ahead of every message."""

    PASSIVATE = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class Reject:
    """A full mailbox refuses the new message. The default."""


@dataclass(frozen=True, slots=True)
class DropOldest:
    """A full mailbox gives up its oldest message of a droppable class for the new one."""


@dataclass(frozen=True, slots=True)
class Coalesce:
    """The new message takes the place of the one waiting under the same key: the last wins."""

    key: Hashable


Overflow = Reject | DropOldest | Coalesce
OverflowPolicy = Callable[[Any], Overflow]


class Mailbox:
    """The queue of one actor. `put` says whether the message was taken."""

    __slots__ = ("_by_key", "_keys", "_overflow", "limit", "orders", "queue", "senders")

    def __init__(self, limit: int, overflow: OverflowPolicy | None = None) -> None:
        self.limit = limit
        self.queue: deque[Any] | None = None
        self.orders: tuple[Order, ...] = ()
        self._overflow = overflow
        self._by_key: dict[Hashable, Letter[Any]] | None = None
        self._keys: dict[Letter[Any], Hashable] | None = None
        self.senders: deque[asyncio.Future[None]] | None = None

    def __len__(self) -> int:
        return len(self.queue) if self.queue is not None else 0

    def put(self, item: Any) -> bool:
        """Take the item unless it is full, or its policy finds another place for it."""
        if self._overflow is not None and type(item) is not Letter:
            rule = self._overflow(item)
            if type(rule) is Coalesce:
                return self._coalesce(item, rule.key)
        queue = self.queue
        if queue is None:
            self.queue = deque((item,))
            return True
        if len(queue) >= self.limit:
            return False
        queue.append(item)
        return True

    def force(self, item: Any) -> None:
        """Take the item whatever the limit: for what the actor told itself."""
        if self.queue is None:
            self.queue = deque()
        self.queue.append(item)

    def put_back(self, letters: list[Letter[Any]]) -> None:
        """Lay letters in front again, first one first, whatever the limit."""
        if letters and self.queue is None:
            self.queue = deque()
        if self.queue is not None:
            self.queue.extendleft(reversed(letters))

    def make_room(self, item: Any) -> Any | None:
        """Drop and return the oldest droppable message if the new one is droppable too."""
        if self._overflow is None or self.queue is None:
            return None
        message = item.message if type(item) is Letter else item
        if not isinstance(self._overflow(message), DropOldest):
            return None
        for place, waiting in enumerate(self.queue):
            if type(waiting) is Letter:
                continue
            if isinstance(self._overflow(waiting), DropOldest):
                del self.queue[place]
                return waiting
        return None

    def take(self) -> Any:
        """Remove and return the first item. Raises IndexError when there is none."""
        if self.queue is None:
            raise IndexError("the mailbox is empty")
        item = self.queue.popleft()
        if self._keys and self._by_key and type(item) is Letter and item in self._keys:
            del self._by_key[self._keys.pop(item)]
        return item

    def drain(self) -> list[Any]:
        """Remove and return everything."""
        return [self.take() for _ in range(len(self))]

    def take_asked(self) -> list[Letter[Any]]:
        """Remove and return the letters somebody waits for; the others keep their order."""
        everything = self.drain()
        asked = [item for item in everything if type(item) is Letter and item.is_asked]
        for item in everything:
            if type(item) is not Letter or not item.is_asked:
                self.force(item)
        return asked

    def wait_for_room(self, sender: asyncio.Future[None]) -> None:
        """Queue a sender; it is woken, first come first served, when there may be room."""
        if self.senders is None:
            self.senders = deque()
        self.senders.append(sender)

    def wake_senders(self, *, all: bool = False) -> None:
        """Wake as many senders as there is room for, or every one."""
        if self.senders is None:
            return
        room = self.limit - len(self)
        while self.senders and (all or room > 0):
            sender = self.senders.popleft()
            if not sender.done():
                sender.set_result(None)
                room -= 1
        if not self.senders:
            self.senders = None

    def order(self, order: Order) -> None:
        if order not in self.orders:
            self.orders += (order,)

    def take_order(self) -> Order:
        first, *others = self.orders
        self.orders = tuple(others)
        return first

    def _coalesce(self, message: Any, key: Hashable) -> bool:
        if self._by_key is None or self._keys is None:
            self._by_key, self._keys = {}, {}
        waiting = self._by_key.get(key)
        if waiting is not None:
            waiting.message = message
            return True
        if len(self) >= self.limit:
            return False
        letter = Letter(message)
        self._by_key[key] = letter
        self._keys[letter] = key
        self.force(letter)
        return True
