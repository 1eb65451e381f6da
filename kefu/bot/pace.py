"""How eagerly answers are read while they are being written.

A piece of an answer costs the same whether it is one token or ten: it is read, handed to the
conversation, told and sent. While few answers are under way each piece goes on at once. The more
there are, the longer each reader waits before it reads on, and the larger the pieces are: the first
words of an answer still go at once, and the others appear ten times a second.

No two pauses are alike. Readers that were woken together once would stay so otherwise, and whoever
asks something at such a moment would wait behind all of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Final

UNHURRIED: Final = 20
"""Answers at once for which nobody waits."""
PAUSE_PER_ANSWER_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.1
SPREAD: Final = 0.25
"""By what part of it a pause is longer or shorter than usual, at most."""


class Pace:
    """Shared by all who read answers on one event loop."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._count = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For as long as an answer is open."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    @property
    def usual_pause_s(self) -> float:
        """Between two pieces of one answer, on average."""
        crowd = max(0, self._count - UNHURRIED)
        return min(LONGEST_PAUSE_S, crowd * PAUSE_PER_ANSWER_S)

    def pause_s(self) -> float:
        """The next one; 0 for none."""
        return self.usual_pause_s * self._chance.uniform(1 - SPREAD, 1 + SPREAD)
