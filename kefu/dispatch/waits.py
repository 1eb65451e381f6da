"""How long somebody at a place in the queue may still have to wait, said honestly. Pure.

Judged by how fast agents have lately taken people out of the queue. Who has seen too little of that
says nothing rather than guess.
"""

from collections import deque
from typing import Final

SAMPLES: Final = 20
LEAST_SAMPLES: Final = 3
MEMORY_S: Final = 1800.0
SHORTEST: Final = 0.5
LONGEST: Final = 1.5
ROUND_TO_S: Final = 30


class Waits:
    """Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._taken_at: deque[float] = deque(maxlen=SAMPLES)

    def note_taken(self, now: float) -> None:
        """Somebody who waited was taken by an agent."""
        self._taken_at.append(now)

    def band(self, position: int, now: float) -> tuple[int, int] | None:
        """Between how many seconds it may take until `position` (1 for the next) is taken."""
        while self._taken_at and self._taken_at[0] < now - MEMORY_S:
            self._taken_at.popleft()
        if len(self._taken_at) < LEAST_SAMPLES:
            return None
        each_s = (now - self._taken_at[0]) / len(self._taken_at)
        low = int(position * each_s * SHORTEST) // ROUND_TO_S * ROUND_TO_S
        high = (int(position * each_s * LONGEST) // ROUND_TO_S + 1) * ROUND_TO_S
        return low, high
