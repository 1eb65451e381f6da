"""The faults of a run: when the process dies or stops, what the network and the disk do to it."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

from tests.simulation.loop import Process
from tests.simulation.weather import Trouble

if TYPE_CHECKING:
    from tests.simulation.agent import Agent
    from tests.simulation.world import World

TROUBLES: Final[tuple[Trouble, ...]] = ("slow", "down", "hang", "full")
LASTING_S: Final = (0.2, 1.0, 4.0, 9.0)
HALF_OPEN_S: Final = 55.0
PAUSES_S: Final = ((0.05, 1.0), (1.0, 3.5), (3.0, 12.0))
DUEL_S: Final = 3.0
SLEEPS_S: Final = (1.6, 1.95)  # a second less than a lease: the last beat may be that old
LOOKS_EVERY_S: Final = 0.01
AWAY_S: Final = (0.3, 1.0, 3.0, 8.0)


class Storms:
    """Begins at once; ends when the weather is calm."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"{world.seed} storms")
        self._hops = -1
        self._is_pause = False
        self._is_dueling_until = 0.0
        climate = world.weather.climate
        cluster = world.cluster_climate
        for rate, strike in (
            (climate.crashes, self._crash),
            (climate.stops, self._stop),
            (climate.cuts, self._cut),
            (climate.stalls, self._stall),
            (climate.troubles, self._trouble),
            (cluster.pauses, self._pause),
            (cluster.joins, world.nodes.join),
            (cluster.redis_troubles, self._trouble_redis),
            (cluster.cut_subscriptions, self._cut_subscriptions),
        ):
            if rate > 0:
                self._plan(rate, strike)

    def _plan(self, rate: float, strike: Callable[[], None]) -> None:
        def due() -> None:
            if not self._world.weather.is_calm:
                strike()
                self._plan(rate, strike)

        self._world.later(self._random.expovariate(rate), due)

    def _crash(self) -> None:
        """At any moment, or, as often, a few steps behind the next commit."""
        if self._random.random() < 0.5:
            self._world.nodes.crash(self._random.uniform(0.05, 3.0))
        else:
            self._hops, self._is_pause = self._random.randint(0, 12), False

    def _pause(self) -> None:
        if self._random.random() < 0.5:
            self._world.nodes.pause(self._pause_s())
        else:
            self._hops, self._is_pause = self._random.randint(0, 12), True

    def _pause_s(self) -> float:
        return self._random.uniform(*self._random.choice(PAUSES_S))

    def written(self) -> None:
        """A commit was made, and nobody has heard of it yet: not even who wrote."""
        if self._hops >= 0:
            hops, self._hops = self._hops, -1
            self._hop(hops, self._world.tables.writer)

    def _hop(self, hops: int, name: str) -> None:
        if hops > 0:
            self._world.soon(self._hop, hops - 1, name)
        elif self._is_pause:
            self._world.nodes.pause(self._pause_s(), name)
        else:
            self._world.nodes.crash(self._random.uniform(0.05, 1.0), name)

    def _stop(self) -> None:
        self._world.nodes.stop()

    def accepting(self, agent: "Agent", chat_id: UUID) -> None:
        """Whoever decides on it sleeps, not long enough to lose its slots, and whoever counts the
        agent's places dies, and the agent's connection ends: somebody else counts them next."""
        world = self._world
        customer_id = world.rules.lives[chat_id].customer_id
        decides, counts = (world.nodes.owner(str(id)) for id in (customer_id, agent.person_id))
        if agent.chats or decides is None or counts is None or decides is counts:
            return
        if world.loop.time() < self._is_dueling_until or len(world.nodes.open) < 3:
            return
        if self._random.random() < world.cluster_climate.duels:
            world.nodes.pause(self._random.uniform(*SLEEPS_S), decides.process.name)
            world.nodes.shunned = decides
            self._is_dueling_until = world.loop.time() + DUEL_S
            soon_s, down_s = self._random.uniform(0.05, 0.3), self._random.uniform(0.5, 3.0)
            world.later(soon_s, world.nodes.crash, down_s, counts.process.name)
            if agent.link is not None:
                world.later(soon_s, agent.link.cut, 0.0, 0.0)
            self._wake_in_time(decides.process, agent.person_id)

    def _wake_in_time(self, process: Process, agent_id: UUID) -> None:
        """As soon as the agent has got another chat."""
        if self._world.places_of(agent_id)[0] > 0:
            self._world.nodes.wake(process)
        elif process.is_paused:
            self._world.later(LOOKS_EVERY_S, self._wake_in_time, process, agent_id)

    def _trouble_redis(self) -> None:
        redis, chance = self._world.redis, self._random.random()
        lasting_s = self._random.choice(AWAY_S)
        what = "away" if chance < 0.6 else "flushed" if chance < 0.8 else "failed over"
        self._world.note("redis", "fault", what, f"{lasting_s} s")
        if chance < 0.6:
            redis.go_away(lasting_s, is_silent=chance < 0.2)
        elif chance < 0.8:
            redis.flush()
            if chance < 0.7:
                redis.go_away(lasting_s, is_silent=False)
        else:
            redis.fail_over(self._random.choice((0.001, 0.1, 1.0)), lasting_s)

    def _cut_subscriptions(self) -> None:
        self._world.note("redis", "fault", "subscriptions lost")
        self._world.redis.drop_subscriptions()

    def _cut(self) -> None:
        links = [link for link in self._world.network.links if not link.is_over]
        if not links:
            return
        link = self._random.choice(links)
        chance = self._random.random()
        self._world.note("network", "fault", "cut", link.peer.name, f"{chance:.2f}")
        if chance < 0.6:
            link.cut(0.0, 0.0)
        elif chance < 0.8:
            link.cut(self._random.uniform(0.0, HALF_OPEN_S), 0.0)
        else:
            link.cut(0.0, None)

    def _stall(self) -> None:
        links = [link for link in self._world.network.links if not link.is_over]
        if links:
            link = self._random.choice(links)
            self._world.note("network", "fault", "stall", link.peer.name)
            link.stall()
            self._world.later(self._random.uniform(0.1, 15.0), link.go_on)

    def _trouble(self) -> None:
        trouble, lasting_s = self._random.choice(TROUBLES), self._random.choice(LASTING_S)
        self._world.note("postgres", "fault", trouble, f"{lasting_s} s")
        self._world.weather.begin(trouble, lasting_s)
