"""How many of the last minutes' calls failed and how long they took: the figures behind two alerts.

Ten seconds share one drawer, so that a day of calls takes no more room than an hour of them.
"""

from bisect import bisect_left
from collections import deque
from itertools import accumulate
from typing import Final

from kefu.clock import Clock

DRAWER_S: Final = 10.0
DRAWERS: Final = 30  # the last five minutes
ENOUGH_CALLS: Final = 20  # fewer say nothing
SLOWEST_SHARE: Final = 0.05
BOUNDS_S: Final = tuple(0.01 * 1.1**n for n in range(100))  # from 10 ms to two minutes


class _Drawer:
    def __init__(self, number: int) -> None:
        self.number = number
        self.failed_count = 0
        self.counts = [0] * (len(BOUNDS_S) + 1)


class Pulse:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._drawers: deque[_Drawer] = deque()

    def note(self, seconds: float, *, has_failed: bool) -> None:
        """One call was answered."""
        number = int(self._clock.monotonic() // DRAWER_S)
        if not self._drawers or self._drawers[-1].number != number:
            self._drawers.append(_Drawer(number))
            self._forget()
        drawer = self._drawers[-1]
        drawer.failed_count += has_failed
        drawer.counts[bisect_left(BOUNDS_S, seconds)] += 1

    def error_rate(self) -> float | None:
        """The share of calls that failed; None when there were too few."""
        counts = self._counts()
        total = sum(counts)
        failed = sum(drawer.failed_count for drawer in self._drawers)
        return failed / total if total >= ENOUGH_CALLS else None

    def latency_s(self) -> float | None:
        """What 95 of 100 calls took at most, rounded up by a tenth at worst. None: too few."""
        counts = self._counts()
        total = sum(counts)
        if total < ENOUGH_CALLS:
            return None
        quick = total - int(total * SLOWEST_SHARE)
        place = bisect_left(list(accumulate(counts)), quick)
        return BOUNDS_S[min(place, len(BOUNDS_S) - 1)]

    def _counts(self) -> list[int]:
        self._forget()
        return [sum(each) for each in zip(*(d.counts for d in self._drawers), strict=True)]

    def _forget(self) -> None:
        oldest = int(self._clock.monotonic() // DRAWER_S) - DRAWERS
        while self._drawers and self._drawers[0].number <= oldest:
            self._drawers.popleft()
