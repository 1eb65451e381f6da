"""The faults of a run: when the process dies or stops, what the network and the disk do to it."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from tests.simulation.weather import Trouble

if TYPE_CHECKING:
    from tests.simulation.world import World

TROUBLES: Final[tuple[Trouble, ...]] = ("slow", "down", "hang", "full")
LASTING_S: Final = (0.2, 1.0, 4.0, 9.0)
HALF_OPEN_S: Final = 55.0


class Storms:
    """Begins at once; ends when the weather is calm."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"{world.seed} storms")
        self._hops = -1
        climate = world.weather.climate
        for rate, strike in (
            (climate.crashes, self._crash),
            (climate.stops, self._stop),
            (climate.cuts, self._cut),
            (climate.stalls, self._stall),
            (climate.troubles, self._trouble),
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
            self._world.crash(self._random.uniform(0.05, 3.0))
        else:
            self._hops = self._random.randint(0, 12)

    def written(self) -> None:
        """A commit was made, and nobody has heard of it yet."""
        if self._hops >= 0:
            hops, self._hops = self._hops, -1
            self._hop(hops, self._random.uniform(0.05, 1.0))

    def _hop(self, hops: int, down_s: float) -> None:
        if hops == 0:
            self._world.crash(down_s)
        else:
            self._world.soon(self._hop, hops - 1, down_s)

    def _stop(self) -> None:
        self._world.stop(self._random.uniform(0.05, 1.0))

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
