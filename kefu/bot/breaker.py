"""Stops asking a provider that fails again and again, and finds out when it is well.

    closed --failures in a row--> open --time--> half open --the probe succeeds--> closed
                                   ^______________| the probe fails: twice as long as before

Each request takes a permit and reports with it. What was asked before the breaker changed its mind
reports too late and counts for nothing.
"""

from typing import Final, Literal, NamedTuple

Phase = Literal["closed", "open", "half_open"]

THRESHOLD: Final = 5
OPEN_S: Final = 15.0
LONGEST_OPEN_S: Final = 240.0
PROBE_S: Final = 90.0
"""A probe nobody reports on is given up after this: longer than any turn."""


class Permit(NamedTuple):
    """Leave to ask once."""

    generation: int


class Breaker:
    """`now` is any clock that never goes back, in seconds."""

    def __init__(
        self,
        *,
        threshold: int = THRESHOLD,
        open_s: float = OPEN_S,
        longest_open_s: float = LONGEST_OPEN_S,
        probe_s: float = PROBE_S,
    ) -> None:
        self._threshold = threshold
        self._open_s = open_s
        self._longest_open_s = longest_open_s
        self._probe_s = probe_s
        self._generation = 0
        self._failures = 0
        self._openings = 0
        self._reopens_at: float | None = None
        self._probe_until: float | None = None
        self.opened_count = 0

    def phase(self, now: float) -> Phase:
        if self._reopens_at is None:
            return "closed"
        return "open" if now < self._reopens_at else "half_open"

    def admit(self, now: float) -> Permit | None:
        """A permit to ask, or None: not now. Half open, one at a time is let through."""
        if self._reopens_at is None:
            return Permit(self._generation)
        is_probed = self._probe_until is not None and now < self._probe_until
        if now < self._reopens_at or is_probed:
            return None
        self._generation += 1
        self._probe_until = now + self._probe_s
        return Permit(self._generation)

    def succeed(self, permit: Permit) -> None:
        if permit.generation != self._generation:
            return
        self._failures = 0
        if self._reopens_at is not None:
            self._generation += 1
            self._openings = 0
            self._reopens_at = self._probe_until = None

    def fail(self, permit: Permit, now: float, *, at_once: bool = False) -> None:
        """`at_once` opens it without waiting for more failures."""
        if permit.generation != self._generation:
            return
        self._failures += 1
        if at_once or self._reopens_at is not None or self._failures >= self._threshold:
            self._open(now)

    def forget(self, permit: Permit) -> None:
        """The request ended without saying anything about the provider: it was cancelled, say."""
        if permit.generation == self._generation and self._reopens_at is not None:
            self._generation += 1
            self._probe_until = None

    def _open(self, now: float) -> None:
        length = min(self._longest_open_s, self._open_s * 2.0 ** min(self._openings, 16))
        self._generation += 1
        self._failures = 0
        self._openings += 1
        self.opened_count += 1
        self._probe_until = None
        self._reopens_at = now + length
