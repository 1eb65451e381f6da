"""How much people may send and are sent. Pure: the time (monotonic seconds) is handed in."""

from collections import deque
from typing import Final

from protocol.limits import INVALID_FRAMES_BEFORE_CLOSE, INVALID_FRAMES_WINDOW_S

OUTBOX_FRAMES: Final = 256
OUTBOX_BYTES: Final = 256 * 1024
INBOX_FRAMES: Final = 64
SEND_WITHIN_S: Final = 10.0
ASK_WITHIN_S: Final = 10.0
GOODBYE_WITHIN_S: Final = 5.0
CURSOR_BYTES: Final = 4096
POST_FRAMES: Final = 64
POST_BYTES: Final = 256 * 1024
ANSWER_BYTES: Final = 1024 * 1024  # beyond it, the rest of a POST is to be asked again
PEOPLE_REMEMBERED: Final = 10_000


class FrameRate:
    """A bucket of `burst` frames that refills with `rate` a second."""

    __slots__ = ("_burst", "_left", "_rate", "_updated")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._updated = now

    def take(self, now: float, *, kept: float = 0.0) -> float:
        """0.0 when one more frame is allowed, else the seconds until the next one is.

        `kept` are left for others.
        """
        self._left = min(self._burst, self._left + (now - self._updated) * self._rate)
        self._updated = now
        if self._left >= 1.0 + kept:
            self._left -= 1.0
            return 0.0
        return (1.0 + kept - self._left) / self._rate

    def is_full(self, now: float) -> bool:
        """Whether it is as good as a new one."""
        return self._left + (now - self._updated) * self._rate >= self._burst


class FrameRates:
    """A bucket a person, for those whose frames come by one request after another.

    A full one is forgotten, and so is the one asked for longest ago when there are too many.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._by_person: dict[str, FrameRate] = {}

    def __len__(self) -> int:
        return len(self._by_person)

    def of(self, person: str, now: float) -> FrameRate:
        bucket = self._by_person.pop(person, None)
        while self._by_person:
            oldest = next(iter(self._by_person))
            is_crowded = len(self._by_person) >= PEOPLE_REMEMBERED
            if not is_crowded and not self._by_person[oldest].is_full(now):
                break
            del self._by_person[oldest]
        if bucket is None:
            bucket = FrameRate(self._rate, self._burst, now)
        self._by_person[person] = bucket
        return bucket


class InvalidFrames:
    """Counts frames nobody could use; too many in a short time are abuse."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=INVALID_FRAMES_BEFORE_CLOSE)

    def count(self, now: float) -> bool:
        """Whether this one makes it too many."""
        self._times.append(now)
        is_full = len(self._times) == INVALID_FRAMES_BEFORE_CLOSE
        return is_full and now - self._times[0] <= INVALID_FRAMES_WINDOW_S
