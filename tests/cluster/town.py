"""A few instances on one simulated loop, with everything that may happen to them.

Boxes are the actors: each keeps a row of marks in a fenced store. Writers put marks into boxes,
many at a time, without waiting for the answers.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random

import anyio
from msgspec import Struct

from actors import Actor, ActorError, Kind, Request, Router
from kefu.cluster.cluster import Cluster
from kefu.cluster.codec import Codec
from kefu.cluster.placement import SLOT_COUNT, slot_of
from kefu.cluster.ports import BusUnavailable, Member, View
from kefu.storage.errors import StoreUnavailable
from tests.cluster.memory import MemoryBus, MemoryClaims, MemoryDirectory, Nobody

ASK_WITHIN_S = 9.0
ASLEEP_S = 1.0  # how long whoever speaks for a frozen instance waits before giving up


class Put(Request[int], Struct, frozen=True):
    writer: str
    number: int
    may_repeat = True


class Mark(Struct, frozen=True):
    writer: str
    number: int


class Fenced(Exception):
    """Somebody else owns the slot by now."""


class Store:
    """What is written, box by box, and the fence that decides whose writes count."""

    def __init__(self, claims: MemoryClaims) -> None:
        self.claims = claims
        self.rows: dict[str, list[Mark]] = defaultdict(list)
        self.refused = 0
        self.faults: list[str] = []

    def append(self, key: str, epoch: int, seq: int, mark: Mark) -> None:
        if self.claims.epochs[slot_of(key)] != epoch:
            self.refused += 1
            raise Fenced
        row = self.rows[key]
        if seq != len(row) + 1:
            self.faults.append(f"{key}: number {seq} written after {len(row)}: two owners at once")
            raise Fenced
        row.append(mark)


class Box(Actor[Put]):
    """Keeps what it has read, as a conversation does: only the fence tells it that it is stale."""

    def __init__(self, key: str, house: "Instance") -> None:
        self.key = key
        self.house = house

    async def on_activate(self) -> None:
        self.epoch = self.house.epoch_of(self.key)
        await self.house.town.while_it_takes()
        self.row = list(self.house.town.store.rows[self.key])

    async def receive(self, message: Put) -> int:
        mark = Mark(message.writer, message.number)
        await self.house.town.while_it_takes()
        if mark not in self.row:
            self._write(mark)
            await self.house.town.while_it_takes()
        return message.number

    def _write(self, mark: Mark) -> None:
        house = self.house
        if house.is_dead:
            raise Fenced
        epoch = self.epoch
        try:
            house.town.store.append(self.key, epoch, len(self.row) + 1, mark)
        except Fenced:
            house.cluster.slots.doubt(((slot_of(self.key), epoch),))
            raise
        self.row.append(mark)


class Household(Nobody):
    """Its people always listen to one topic, of that instance alone."""

    def __init__(self, name: str) -> None:
        self.topic = f"house:{name}"

    def topics(self) -> tuple[str, ...]:
        return (self.topic,)


class Instance:
    """One process: it can be drained, killed without ceremony, and frozen."""

    def __init__(self, name: str, town: "Town") -> None:
        self.name = name
        self.town = town
        self.is_dead = False
        self.is_leaving = False
        self.awake = asyncio.Event()
        self.awake.set()
        self.people = Household(name)
        self.cluster = Cluster(
            name,
            Member(name),
            bus=_Bus(self),
            directory=_Directory(self),
            claims=_Claims(self),
            prefix="town:",
            audience=self.people,
            codec=Codec({"box": Put}),
            on_undelivered=lambda message: None,
            on_changed=lambda slots: None,
            on_missed=lambda: None,
        )
        self._is_open = asyncio.Event()
        self._may_end = asyncio.Event()

    def epoch_of(self, key: str) -> int:
        return self.cluster.slots.epoch_of(slot_of(key))

    async def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run())
        async with asyncio.timeout(30):
            opening = asyncio.ensure_future(self._is_open.wait())
            await asyncio.wait([opening, self.task], return_when=asyncio.FIRST_COMPLETED)
            opening.cancel()

    async def _run(self) -> None:
        kinds = (Kind("box", lambda key: Box(key, self)),)
        transport = self.cluster.transport
        async with Router(kinds, random=Random(1), transport=transport) as self.router:
            self.cluster.attach(self.router)
            running = asyncio.get_running_loop().create_task(self.cluster.run())
            try:
                await self.cluster.slots.ready(within_s=25)
                self._is_open.set()
                await self._may_end.wait()
            finally:
                running.cancel()

    async def leave(self) -> None:
        """As a rolling upgrade ends it: everything is passed on first."""
        self.is_leaving = True
        if await self.cluster.drain(within_s=10):
            await self.cluster.slots.resign()
            self._may_end.set()
            await asyncio.wait([self.task])
            self.is_dead = True
        else:  # nobody took its slots in time: it is ended all the same
            self.kill()

    def kill(self) -> None:
        """Nothing of it is heard or written any more, from now on."""
        self.is_dead = True
        self.awake.set()
        self.town.bus.listeners.pop(f"town:i:{self.name}", None)
        self.task.cancel()

    async def freeze(self, for_s: float) -> None:
        """It hears nothing and is not heard; what it has in hand goes on, which is worse."""
        self.awake.clear()
        await asyncio.sleep(for_s)
        self.awake.set()

    async def reach(self, error: Exception) -> None:
        """Wait for the world to be there again, as a call with a deadline does."""
        try:
            async with asyncio.timeout(ASLEEP_S):
                await self.awake.wait()
        except TimeoutError:
            raise error from None
        if self.is_dead:
            raise error

    @property
    def is_open(self) -> bool:
        """Whether it has seen every slot owned, and so takes writers."""
        return self._is_open.is_set()

    def is_clean(self) -> bool:
        """Whether it keeps nothing of what was asked, waited or came too early."""
        transport = self.cluster.transport
        asking = transport._asking
        return not (asking.parked_slots or asking._asked or transport._guests)


class _Bus:
    def __init__(self, house: Instance) -> None:
        self._house = house

    async def publish(self, channel: str, data: bytes) -> int:
        await self._house.reach(BusUnavailable("asleep"))
        return await self._house.town.bus.publish(channel, data)

    async def listen(
        self, channel: str, on_data: Callable[[bytes], None], on_up: Callable[[bool], None]
    ) -> None:
        house, waiting = self._house, asyncio.Queue[bytes]()

        async def bring() -> None:
            while True:
                data = await waiting.get()
                await house.awake.wait()
                if not house.is_dead:
                    on_data(data)

        async with anyio.create_task_group() as tasks:
            tasks.create_task(bring())
            tasks.create_task(house.town.bus.listen(channel, waiting.put_nowait, on_up))


class _Directory:
    def __init__(self, house: Instance) -> None:
        self._house = house
        self._of_all = house.town.directory

    async def _reach(self) -> None:
        await self._house.reach(BusUnavailable("asleep"))

    async def beat(self, me: str, member: Member, known_version: int) -> View:
        await self._reach()
        return await self._of_all.beat(me, member, known_version)

    async def acquire(
        self, me: str, slots: Collection[int], gone: Collection[str]
    ) -> tuple[int, ...]:
        await self._reach()
        return await self._of_all.acquire(me, slots, gone)

    async def hand_over(self, me: str, moves: Mapping[int, str]) -> None:
        await self._reach()
        await self._of_all.hand_over(me, moves)

    async def leave(self, me: str) -> None:
        await self._reach()
        await self._of_all.leave(me)


class _Claims:
    def __init__(self, house: Instance) -> None:
        self._house = house

    async def claim(self, slots: Collection[int], instance: str) -> dict[int, int]:
        await self._house.reach(StoreUnavailable("asleep"))
        return await self._house.town.claims.claim(slots, instance)

    async def renew(self, epochs: Mapping[int, int], instance: str) -> dict[int, int]:
        await self._house.reach(StoreUnavailable("asleep"))
        return await self._house.town.claims.renew(epochs, instance)


class Town:
    """All instances, the world they share, and what the writers were told."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.bus = MemoryBus()
        self.bus.lose = lambda: chance.random() < 0.02
        self.directory = MemoryDirectory()
        self.claims = MemoryClaims()
        self.store = Store(self.claims)
        self.instances: list[Instance] = []
        self.answered: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.late: list[float] = []
        self.slow_share = 0.003

    async def while_it_takes(self) -> None:
        """Mostly little; sometimes so long that the slot comes and goes meanwhile."""
        span_s = 3.0 if self.chance.random() < self.slow_share else 0.01
        await asyncio.sleep(self.chance.random() * span_s)

    @property
    def living(self) -> list[Instance]:
        return [each for each in self.instances if not each.is_dead]

    @property
    def staying(self) -> list[Instance]:
        return [each for each in self.living if each.is_open and not each.is_leaving]

    async def join(self) -> Instance:
        instance = Instance(f"n{len(self.instances)}", self)
        self.instances.append(instance)
        await instance.start()
        return instance

    async def without_redis(self, for_s: float) -> None:
        self.bus.is_down = self.directory.is_down = True
        await asyncio.sleep(for_s)
        self.bus.is_down = self.directory.is_down = False

    def is_settled(self) -> bool:
        """Every slot has one owner, all know it and where all listen, and nothing is under way."""
        living = self.living
        topics = {each.people.topic for each in living}
        owned = sum(each.cluster.slots.owned_count for each in living)
        return owned == SLOT_COUNT and all(
            each.is_clean()
            and all(map(each.cluster.slots.owner, range(SLOT_COUNT)))
            and set(each.cluster.bridge.topics()) >= topics - {each.people.topic}
            for each in living
        )

    # --- writers ----------------------------------------------------------------------------------

    async def write(self, writer: str, key: str, count: int) -> None:
        """Put so many marks into a box, through whatever instance is there, never waiting for one
        before the next. Whoever must go to another instance begins again under another name."""
        life = 0
        left = count
        while left:
            life += 1
            home = self.chance.choice(self.staying)
            left -= await self._write_at(home, f"{writer}.{life}", key, left)

    async def _write_at(self, home: Instance, writer: str, key: str, count: int) -> int:
        asks: list[asyncio.Task[None]] = []
        for number in range(count):
            if home.is_dead or home.is_leaving:
                break
            has_begun = asyncio.Event()
            put = self._put(home, key, Put(writer, number), has_begun)
            asks.append(asyncio.get_running_loop().create_task(put))
            await has_begun.wait()
            if self.chance.random() < 0.7:
                await asyncio.sleep(self.chance.random() * 0.15)
        pending = set(asks)
        while pending and not home.is_dead:
            _, pending = await asyncio.wait(pending, timeout=0.5)
        for ask in pending:
            ask.cancel()
        return len(asks)

    async def _put(self, home: Instance, key: str, put: Put, has_begun: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        has_begun.set()
        try:
            number = await home.router.ref("box", key).ask(put, within=ASK_WITHIN_S)
            self.answered[key, put.writer].append(number)
        except ActorError as error:
            if not home.is_dead:
                self.errors[type(error).__name__] += 1
        finally:
            self.late.append(loop.time() - began)

    # --- what must hold ---------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """Every promise that was broken."""
        found = list(self.store.faults)
        for key, row in self.store.rows.items():
            if len(set(row)) < len(row):
                found.append(f"{key}: something is there twice")
        for (key, writer), numbers in self.answered.items():
            written = [mark.number for mark in self.store.rows[key] if mark.writer == writer]
            if not set(numbers) <= set(written):
                found.append(f"{key}: {writer} was told of what is not there")
            kept = [number for number in written if number in set(numbers)]
            if kept != sorted(kept):
                turns = [(a, b) for a, b in pairwise(kept) if b < a]
                found.append(f"{key}: {writer} is out of order at {turns}")
        if max(self.late, default=0.0) > ASK_WITHIN_S + 0.05:
            found.append(f"an ask took {max(self.late):.1f} s")
        return found


@asynccontextmanager
async def town_of(count: int, chance: Random) -> AsyncIterator[Town]:
    town = Town(chance)
    for _ in range(count):
        await town.join()
    yield town
    for instance in town.living:
        instance.kill()
    await asyncio.wait([instance.task for instance in town.instances])
