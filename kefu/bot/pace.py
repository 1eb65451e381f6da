"""How eagerly answers are read while they are being written.

A piece of an answer costs the same whether it is one token or ten: it is read, handed to the
conversation, told and sent. While few answers are under way each piece goes on at once. The more
there are, the longer each reader waits before it reads on, and the larger the pieces are: the first
words of an answer still go at once, and the others appear ten times a second.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

UNHURRIED: Final = 20
"""Answers at once for which nobody waits."""
PAUSE_PER_ANSWER_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.1


class Pace:
    """Shared by all who read answers on one event loop."""

    def __init__(self) -> None:
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
    def pause_s(self) -> float:
        """Between two pieces of one answer."""
        crowd = max(0, self._count - UNHURRIED)
        return min(LONGEST_PAUSE_S, crowd * PAUSE_PER_ANSWER_S)
