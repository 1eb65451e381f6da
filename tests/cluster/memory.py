"""A bus, a directory and a fence in memory: all that the cluster needs of the world."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kefu.cluster.placement import SLOT_COUNT
from kefu.cluster.ports import BusUnavailable, Member, View
from kefu.storage.errors import StoreUnavailable


class MemoryBus:
    """`is_down` cuts everybody; `lose` says which frames get lost on the way."""

    def __init__(self) -> None:
        self.listeners: dict[str, Callable[[bytes], None]] = {}
        self.is_down = False
        self.lose: Callable[[], bool] = lambda: False
        self.published = 0

    async def publish(self, channel: str, data: bytes) -> int:
        await asyncio.sleep(0)
        if self.is_down:
            raise BusUnavailable("down")
        self.published += 1
        listener = self.listeners.get(channel)
        if listener is None:
            return 0
        if not self.lose():
            asyncio.get_running_loop().call_soon(listener, data)
        return 1

    async def listen(
        self, channel: str, on_data: Callable[[bytes], None], on_up: Callable[[bool], None]
    ) -> None:
        self.listeners[channel] = on_data
        on_up(True)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.listeners.pop(channel, None)


class MemoryDirectory:
    def __init__(self) -> None:
        self.seen: dict[str, tuple[float, Member]] = {}
        self.owners: dict[int, str] = {}
        self.version = 1
        self.is_down = False
        self.fails_after_s = 0.0
        self.asked: set[str] = set()

    def forget(self) -> None:
        """As FLUSHALL does; the next version has nothing to do with those before."""
        self.seen.clear()
        self.owners.clear()
        self.version += 1_000_000

    def _living(self) -> dict[str, Member]:
        now = asyncio.get_running_loop().time()
        return {name: member for name, (at, member) in self.seen.items() if now - at < 3.0}

    async def _go(self) -> None:
        await asyncio.sleep(self.fails_after_s if self.is_down else 0)
        if self.is_down:
            raise BusUnavailable("down")

    async def beat(self, me: str, member: Member, known_version: int) -> View:
        await self._go()
        self.seen[me] = (asyncio.get_running_loop().time(), member)
        owners = None if known_version == self.version else dict(self.owners)
        return View(self._living(), self.version, owners, me in self.asked)

    async def acquire(
        self, me: str, slots: Collection[int], gone: Collection[str]
    ) -> tuple[int, ...]:
        await self._go()
        living = self._living().keys() - set(gone)
        taken = tuple(
            s for s in slots if self.owners.get(s) in (None, me) or self.owners[s] not in living
        )
        self.owners.update(dict.fromkeys(taken, me))
        self.version += bool(taken)
        return taken

    async def hand_over(self, me: str, moves: Mapping[int, str]) -> None:
        await self._go()
        for slot, owner in moves.items():
            if self.owners.get(slot) in (None, me):
                self.owners[slot] = owner
        self.version += 1

    async def ask_to_leave(self, instance: str) -> bool:
        await self._go()
        if instance in self._living():
            self.asked.add(instance)
        return instance in self.asked

    async def leave(self, me: str) -> None:
        await self._go()
        self.seen.pop(me, None)
        self.version += 1


class MemoryClaims:
    def __init__(self) -> None:
        self.epochs: dict[int, int] = dict.fromkeys(range(SLOT_COUNT), 0)
        self.is_down = False

    async def claim(self, slots: Collection[int], instance: str) -> dict[int, int]:
        await asyncio.sleep(0)
        if self.is_down:
            raise StoreUnavailable("down")
        for slot in slots:
            self.epochs[slot] += 1
        return {slot: self.epochs[slot] for slot in slots}

    async def renew(self, epochs: Mapping[int, int], instance: str) -> dict[int, int]:
        held = [slot for slot, epoch in epochs.items() if self.epochs[slot] == epoch]
        return await self.claim(held, instance)


class Nobody:
    """An audience of none."""

    def publish(self, topics: Any, frame: Any, *, skip: Any = None) -> None: ...
    def reply(self, origin: Any, frame: Any) -> None: ...
    def close(self, topic: str, code: Any) -> None: ...
    def topics(self) -> tuple[str, ...]:
        return ()
