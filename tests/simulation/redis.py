"""Redis as the cluster meets it: a directory that may forget, and pub/sub that does.

It is one thing in the world: what reached it has happened, whether or not its sender hears so, and
lives on. What it sends each subscriber arrives in the order in which it came here; two publishers
may overtake each other on the way.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextvars import Context, copy_context
from random import Random
from typing import Any, Final, NamedTuple

from kefu.cluster.directory import ANSWER_WITHIN_S, FORGET_AFTER_S, LEASE_S
from kefu.cluster.ports import BusUnavailable, Member, View
from kefu.cluster.redis_bus import PUBLISH_WITHIN_S, RECONNECT_PAUSE_S
from tests.simulation.loop import Process

OnData = Callable[[bytes], None]
SNAPSHOTS: Final = 200


class RedisClimate(NamedTuple):
    """How slow it is and how often one command alone goes wrong."""

    way_s: float
    lost_frames: float
    doubled_frames: float
    lost_replies: float
    lost_requests: float

    @classmethod
    def of(cls, random: Random) -> "RedisClimate":
        def some(rate: float, often: float) -> float:
            return rate * random.uniform(0.3, 2.0) if random.random() < often else 0.0

        return cls(
            way_s=random.choice((0.0003, 0.002, 0.01)),
            lost_frames=some(0.02, 0.5),
            doubled_frames=some(0.02, 0.5),
            lost_replies=some(0.01, 0.5),
            lost_requests=some(0.01, 0.5),
        )


class _Directory(NamedTuple):
    """Never changed in place, so that an older one can come back."""

    seen: dict[str, float]
    members: dict[str, Member]
    owners: dict[int, str]
    version: int | None


NOTHING: Final = _Directory({}, {}, {}, None)


class _Subscriber:
    """One connection that listens."""

    def __init__(self, process: Process, on_data: OnData) -> None:
        self.process = process
        self.on_data = on_data
        self.lost = asyncio.get_running_loop().create_future()
        self.on_the_way: deque[bytes] = deque()
        self.at = 0.0


class Redis:
    """`now()` is the world's time; the faults are struck from outside."""

    def __init__(self, random: Random, now: Callable[[], float]) -> None:
        self.climate = RedisClimate.of(random)
        self.is_calm = False
        self._random = random
        self._now = now
        self._world: Context = copy_context()
        self._away_until = 0.0
        self._is_silent = False
        self._held = NOTHING
        self._before: deque[tuple[float, _Directory]] = deque(maxlen=SNAPSHOTS)
        self._subscribers: dict[str, _Subscriber] = {}

    # --- what is done to it -----------------------------------------------------------------------

    def calm(self) -> None:
        self.is_calm = True
        self._away_until = 0.0

    def go_away(self, lasting_s: float, *, is_silent: bool) -> None:
        """Nobody reaches it; connections break, or `is_silent`: only never answer."""
        self._away_until, self._is_silent = self._now() + lasting_s, is_silent
        self.drop_subscriptions()

    def drop_subscriptions(self) -> None:
        """As CLIENT KILL TYPE pubsub does."""
        for subscriber in tuple(self._subscribers.values()):
            self.drop(subscriber)

    def flush(self) -> None:
        self._set(NOTHING)

    def fail_over(self, lost_s: float, lasting_s: float) -> None:
        """A replica takes over that had not heard of what happened last."""
        since = self._now() - lost_s
        for at, before in reversed(self._before):
            if at < since:
                break
            self._held = before
        self.go_away(lasting_s, is_silent=False)

    @property
    def is_away(self) -> bool:
        return self._now() < self._away_until

    def drop(self, subscriber: _Subscriber) -> None:
        """Its connection is closed."""
        for channel, each in tuple(self._subscribers.items()):
            if each is subscriber:
                del self._subscribers[channel]
        if not subscriber.lost.done() and not subscriber.process.is_dead:
            subscriber.lost.set_result(None)

    def _set(self, held: _Directory) -> None:
        self._before.append((self._now(), self._held))
        self._held = held

    # --- one command ------------------------------------------------------------------------------

    async def run(self, process: Process, work: Callable[[], Any], within_s: float) -> Any:
        """The command's answer. Raises BusUnavailable."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()

        def end(error: Exception | None, answer: Any = None) -> None:
            if reply.done() or process.is_dead:
                return
            if error is not None:
                reply.set_exception(error)
            else:
                reply.set_result(answer)

        def arrive() -> None:
            if process.is_dead and self._chance(0.5):
                return
            if self.is_away:
                if not self._is_silent:
                    end(BusUnavailable("refused"))
                return
            answer = work()
            if not self._chance(self.climate.lost_replies):
                back_s = self._way_s()
                loop.call_later(back_s, end, None, answer, context=self._world)

        if not self._chance(self.climate.lost_requests):
            loop.call_later(self._way_s(), arrive, context=self._world)
        late = loop.call_later(within_s, end, BusUnavailable("late"), context=self._world)
        try:
            return await reply
        finally:
            late.cancel()

    def _chance(self, of: float) -> bool:
        return not self.is_calm and of > 0 and self._random.random() < of

    def _way_s(self) -> float:
        return self._random.expovariate(1.0) * self.climate.way_s

    # --- pub/sub ----------------------------------------------------------------------------------

    def subscribe(self, channel: str, subscriber: _Subscriber) -> None:
        if not subscriber.lost.done():
            self._subscribers[channel] = subscriber

    def publish(self, channel: str, data: bytes) -> int:
        subscriber = self._subscribers.get(channel)
        if subscriber is None:
            return 0
        if subscriber.process.is_dead:  # its machine closed the connection
            self.drop(subscriber)
            return 0
        if not self._chance(self.climate.lost_frames):
            self._send(subscriber, data)
            if self._chance(self.climate.doubled_frames):
                self._send(subscriber, data)
        return 1

    def _send(self, subscriber: _Subscriber, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        subscriber.on_the_way.append(data)
        subscriber.at = max(subscriber.at, loop.time() + self._way_s())

        def arrive() -> None:
            first = subscriber.on_the_way.popleft()
            if not subscriber.lost.done():
                subscriber.on_data(first)

        loop.call_at(subscriber.at, arrive, context=subscriber.process.context)

    # --- the directory, as the scripts in kefu/cluster/directory.py -------------------------------

    def _lives(self, name: str) -> bool:
        return self._held.seen.get(name, -LEASE_S) > self._now() - LEASE_S

    def beat(self, me: str, member: Member, known_version: int) -> View:
        held, now = self._held, self._now()
        seen, members = {**held.seen, me: now}, {**held.members, me: member}
        for name, at in held.seen.items():
            if name != me and at <= now - FORGET_AFTER_S:
                del seen[name], members[name]
        version = self._next_version() if held.version is None else held.version
        self._set(_Directory(seen, members, held.owners, version))
        living = {name: one for name, one in members.items() if self._lives(name)}
        return View(living, version, None if version == known_version else held.owners)

    def _next_version(self) -> int:
        return max((self._held.version or 0) + 1, int(1000 * self._now()))

    def acquire(self, me: str, slots: Collection[int], gone: Collection[str]) -> tuple[int, ...]:
        held = self._held
        taken = tuple(
            slot
            for slot in slots
            if (owner := held.owners.get(slot)) is None
            or owner == me
            or owner in gone
            or not self._lives(owner)
        )
        if taken:
            owners = {**held.owners, **dict.fromkeys(taken, me)}
            self._set(held._replace(owners=owners, version=self._next_version()))
        return taken

    def hand_over(self, me: str, moves: Mapping[int, str]) -> None:
        held = self._held
        owners = dict(held.owners)
        owners.update({slot: to for slot, to in moves.items() if owners.get(slot) in (None, me)})
        self._set(held._replace(owners=owners, version=self._next_version()))

    def leave(self, me: str) -> None:
        held = self._held
        seen = {name: at for name, at in held.seen.items() if name != me}
        members = {name: one for name, one in held.members.items() if name != me}
        self._set(_Directory(seen, members, held.owners, self._next_version()))


class SimulatedBus:
    """See ports.Bus: one process's connections to the world's Redis."""

    def __init__(self, redis: Redis, process: Process) -> None:
        self._redis = redis
        self._process = process

    async def publish(self, channel: str, data: bytes) -> int:
        def work() -> int:
            return self._redis.publish(channel, data)

        heard_by: int = await self._redis.run(self._process, work, PUBLISH_WITHIN_S)
        return heard_by

    async def listen(self, channel: str, on_data: OnData, on_up: Callable[[bool], None]) -> None:
        redis, process = self._redis, self._process
        while True:
            subscriber = _Subscriber(process, on_data)
            try:
                await redis.run(process, lambda s=subscriber: redis.subscribe(channel, s), 1.0)
                on_up(True)
                await subscriber.lost
            except BusUnavailable:
                pass
            finally:
                redis.drop(subscriber)
                on_up(False)
            await asyncio.sleep(RECONNECT_PAUSE_S)


class SimulatedDirectory:
    """See ports.Directory."""

    def __init__(self, redis: Redis, process: Process) -> None:
        self._redis = redis
        self._process = process

    async def beat(self, me: str, member: Member, known_version: int) -> View:
        view: View = await self._run(lambda: self._redis.beat(me, member, known_version))
        return view

    async def acquire(
        self, me: str, slots: Collection[int], gone: Collection[str]
    ) -> tuple[int, ...]:
        taken: tuple[int, ...] = await self._run(lambda: self._redis.acquire(me, slots, gone))
        return taken

    async def hand_over(self, me: str, moves: Mapping[int, str]) -> None:
        await self._run(lambda: self._redis.hand_over(me, moves))

    async def leave(self, me: str) -> None:
        await self._run(lambda: self._redis.leave(me))

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await self._redis.run(self._process, work, ANSWER_WITHIN_S)
