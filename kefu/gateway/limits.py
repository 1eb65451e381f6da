"""How much one connection may send. Pure: the time (monotonic seconds) is handed in."""

from collections import deque
from typing import Final

from protocol.limits import INVALID_FRAMES_BEFORE_CLOSE, INVALID_FRAMES_WINDOW_S


class FrameRate:
    """A bucket of `burst` frames that refills with `rate` a second."""

    __slots__ = ("_burst", "_left", "_rate", "_updated")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._updated = now

    def take(self, now: float) -> float:
        """0.0 when one more frame is allowed, else the seconds until the next one is."""
        self._left = min(self._burst, self._left + (now - self._updated) * self._rate)
        self._updated = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / self._rate


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


OUTBOX_FRAMES: Final = 256
OUTBOX_BYTES: Final = 1024 * 1024
INBOX_FRAMES: Final = 64
SEND_WITHIN_S: Final = 10.0
ASK_WITHIN_S: Final = 10.0
