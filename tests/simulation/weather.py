"""What a seed does to disks and wires: how long things take, and what becomes of them.

Each seed has a climate of its own, so that some runs are harsh in one way only: faults that always
come together hide each other.
"""

from collections.abc import Callable
from random import Random
from typing import Final, Literal, NamedTuple

import asyncpg

Trouble = Literal["slow", "down", "hang", "full"]
LATE_UP_TO_S: Final = 8.0
SLOWER: Final = 150.0


class Surprise(asyncpg.InternalServerError):
    """An error of the database that nobody expects: whoever meets it must fail cleanly."""


class Fate(NamedTuple):
    """What becomes of one statement. `error` is what its sender hears instead of the rows."""

    takes_effect_after_s: float | None
    answered_after_s: float | None
    error: Exception | None = None


class Climate(NamedTuple):
    """How often what happens; rates are a second, over the whole world."""

    commit_s: float
    wire_s: float
    lost_replies: float
    lost_requests: float
    surprises: float
    crashes: float
    stops: float
    cuts: float
    stalls: float
    troubles: float

    @classmethod
    def of(cls, random: Random) -> "Climate":
        def some(rate: float, often: float = 0.5) -> float:
            return rate * random.uniform(0.3, 2.0) if random.random() < often else 0.0

        return cls(
            commit_s=random.choice((0.0005, 0.002, 0.01)),
            wire_s=random.choice((0.001, 0.02, 0.08)),
            lost_replies=some(0.01),
            lost_requests=some(0.01),
            surprises=some(0.002, 0.3),
            crashes=some(0.07),
            stops=some(0.02, 0.3),
            cuts=some(0.4, 0.7),
            stalls=some(0.2),
            troubles=some(0.07),
        )


class ClusterClimate(NamedTuple):
    """The same for what concerns several instances and the Redis between them."""

    pauses: float
    joins: float
    redis_troubles: float
    cut_subscriptions: float
    duels: float
    """How many of the accepts are troubled while they are decided."""
    is_scarce: bool
    """Every agent has one place, and everybody wants a human."""

    @classmethod
    def of(cls, random: Random, node_count: int) -> "ClusterClimate":
        def some(rate: float, often: float) -> float:
            return rate * random.uniform(0.3, 2.0) if random.random() < often else 0.0

        pauses, joins = some(0.1, 0.6), some(0.05, 0.5)
        is_many = node_count > 1
        is_scarce = random.random() < 0.4
        return cls(
            pauses=pauses if is_many else 0.0,
            joins=joins if is_many else 0.0,
            redis_troubles=some(0.04, 0.5),
            cut_subscriptions=some(0.1, 0.3),
            duels=some(0.8, 0.8) if is_scarce and is_many else 0.0,
            is_scarce=is_scarce,
        )


class Weather:
    """`calm()` ends all of it: from then on nothing goes wrong any more.

    `is_late`: a statement given up for lost may still take effect seconds later.
    """

    def __init__(self, random: Random, now: Callable[[], float], *, is_late: bool) -> None:
        self.is_late = is_late
        self.climate = Climate.of(random)
        self.is_calm = False
        self.surprise_count = 0
        self._random = random
        self._now = now
        self._trouble: Trouble | None = None
        self._until = 0.0

    def calm(self) -> None:
        self.is_calm = True
        self._trouble = None

    def begin(self, trouble: Trouble, lasting_s: float) -> None:
        self._trouble, self._until = trouble, self._now() + lasting_s

    @property
    def trouble(self) -> Trouble | None:
        if self._trouble is not None and self._now() >= self._until:
            self._trouble = None
        return self._trouble

    def wire_s(self) -> float:
        """One frame's way."""
        return self._random.expovariate(1.0) * self.climate.wire_s

    def connecting_s(self) -> float | None:
        """How long a connect to the database takes; None: it never answers. Raises OSError."""
        match self.trouble:
            case "down":
                raise ConnectionRefusedError("the simulated database is down")
            case "hang":
                return None
            case _:
                return 0.001

    def fate(self, *, is_write: bool) -> Fate:
        """Of a statement that is sent now."""
        usual_s = self.climate.commit_s if is_write else self.climate.commit_s / 4
        there_s = self._random.expovariate(1.0) * usual_s
        back_s = self.climate.commit_s / 10
        if self.is_calm:
            return Fate(there_s, there_s + back_s)
        trouble = self.trouble
        if trouble == "down":
            return Fate(None, there_s, _lost())
        if trouble == "hang":
            until_s = self._until - self._now() + there_s
            if self._random.random() < 0.3:
                return Fate(None, until_s, _lost())
            return Fate(until_s, until_s + back_s)
        if trouble == "full" and is_write:
            return Fate(None, there_s, asyncpg.DiskFullError("the simulated disk is full"))
        if trouble == "slow":
            there_s *= SLOWER
        return self._single(there_s, there_s + back_s)

    def _single(self, there_s: float, back_s: float) -> Fate:
        """The misfortunes of one statement alone."""
        chance, climate = self._random.random(), self.climate
        if chance < climate.lost_replies:
            return Fate(there_s, back_s, _lost())
        chance -= climate.lost_replies
        if chance < climate.lost_requests:
            late = self.is_late and self._random.random() < 0.3
            late_s = self._random.uniform(0.0, LATE_UP_TO_S) if late else None
            return Fate(late_s, back_s, _lost())
        chance -= climate.lost_requests
        if chance < climate.surprises:
            self.surprise_count += 1
            return Fate(None, back_s, Surprise("a simulated surprise"))
        return Fate(there_s, back_s)

    def survives(self) -> bool:
        """Whether a statement on its way outlives the process that sent it."""
        return self._random.random() < 0.5


def _lost() -> Exception:
    return asyncpg.ConnectionDoesNotExistError("the simulated connection was lost")
