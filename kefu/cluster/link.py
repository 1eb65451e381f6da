"""One direction of the talk between two instances: in order, each thing once. Pure.

Redis pub/sub forgets what nobody heard. So every frame is numbered, kept until the other side has
confirmed it, and sent again from the first one missing (go-back-N). A link whose other side stays
silent too long, or that holds too much, breaks: what was on it is given back, and the next frame
begins a new life of the link, by which the receiver knows that something is missing.
"""

from collections import deque
from enum import Enum, auto
from typing import Final, Generic, NamedTuple, TypeVar

B = TypeVar("B")

RESEND_AFTER_S: Final = 0.25
BROKEN_AFTER_S: Final = 5.0
HELD_FRAMES: Final = 4096
HELD_BYTES: Final = 8 * 1024 * 1024


class Numbered(NamedTuple, Generic[B]):
    """`life` counts the link's breaks; within one life `number` is 1, 2, 3 ..."""

    life: int
    number: int
    body: B
    size_bytes: int


class Sender(Generic[B]):
    """What is on its way to one instance."""

    def __init__(self, life: int) -> None:
        self.life = life
        self._last = 0
        self._is_forgotten = False
        self._held: deque[Numbered[B]] = deque()
        self._held_bytes = 0
        self._heard_at = 0.0
        self._sent_at = 0.0

    @property
    def is_quiet(self) -> bool:
        """Nothing waits to be confirmed."""
        return not self._held

    @property
    def held_count(self) -> int:
        """How many frames wait to be confirmed."""
        return len(self._held)

    @property
    def is_full(self) -> bool:
        return len(self._held) >= HELD_FRAMES or self._held_bytes >= HELD_BYTES

    def add(self, body: B, size_bytes: int, now: float) -> Numbered[B]:
        """Number it and keep it until it is confirmed. The caller sends it."""
        if not self._held:
            self._heard_at = now
        self._last += 1
        self._sent_at = now
        numbered = Numbered(self.life, self._last, body, size_bytes)
        self._held.append(numbered)
        self._held_bytes += size_bytes
        return numbered

    def confirm(self, life: int, number: int, now: float) -> None:
        """The other side has everything up to `number` of that life."""
        if life != self.life:
            return
        self._heard_at = now
        while self._held and self._held[0].number <= number:
            self._held_bytes -= self._held.popleft().size_bytes

    def missing(self, life: int, number: int, now: float) -> list[Numbered[B]]:
        """The other side has only up to `number`: what must be sent again, in order.

        One that had more and wants the first again has forgotten this life: it is broken.
        """
        if life != self.life:
            return []
        self.confirm(life, number, now)
        self._is_forgotten = number == 0 and self._last > 0 and not self._holds_first()
        return [] if self._is_forgotten else self._again(now)

    def _holds_first(self) -> bool:
        return bool(self._held) and self._held[0].number == 1

    def due(self, now: float) -> list[Numbered[B]]:
        """What was not confirmed in time and is to be sent again."""
        if not self._held or now - max(self._sent_at, self._heard_at) < RESEND_AFTER_S:
            return []
        return self._again(now)

    def _again(self, now: float) -> list[Numbered[B]]:
        self._sent_at = now
        return list(self._held)

    def is_broken(self, now: float) -> bool:
        if self.is_full or self._is_forgotten:
            return True
        return bool(self._held) and now - self._heard_at > BROKEN_AFTER_S

    def reset(self) -> list[B]:
        """Begin a new life; what the other side may never have got, oldest first."""
        lost = [numbered.body for numbered in self._held]
        self._held.clear()
        self._held_bytes = 0
        self.life += 1
        self._last = 0
        self._is_forgotten = False
        return lost


class Arrival(Enum):
    TAKE = auto()
    """The next one: handle it."""
    TAKE_AFTER_GAP = auto()
    """The first of a new life: something before it may be missing. Handle it."""
    AGAIN = auto()
    """Handled before: confirm it once more."""
    EARLY = auto()
    """One before it is missing: say so, and drop it."""


class Receiver:
    """What has come from one instance."""

    def __init__(self) -> None:
        self.life: int | None = None
        self.number = 0

    def arrive(self, life: int, number: int) -> Arrival:
        """What to do with a frame. A life that is over counts as handled before."""
        if self.life is None or life > self.life:
            if number != 1:
                return Arrival.EARLY
            is_first = self.life is None
            self.life, self.number = life, 1
            return Arrival.TAKE if is_first and life == 0 else Arrival.TAKE_AFTER_GAP
        if life < self.life or number <= self.number:
            return Arrival.AGAIN
        if number > self.number + 1:
            return Arrival.EARLY
        self.number = number
        return Arrival.TAKE
