"""How many may come in a second: a crowd that lost its server comes back all at once.

The last quarter is kept for whoever brings a token: they come back to a chat or to their work,
where a newcomer has lost nothing yet. Whoever is refused hears when to try again, each another
moment.
"""

from typing import Final

from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.gateway.limits import FrameRate
from protocol.codes import ErrorCode

RETRY_S: Final = (1.0, 5.0)
KEPT_SHARE: Final = 0.25
LEAST_BURST: Final = 4.0


class Handshakes:
    """`rate` a second, 0 for no limit; a second's worth may come at once."""

    def __init__(self, rate: float, clock: Clock, entropy: Entropy) -> None:
        burst = max(rate, LEAST_BURST)
        self._bucket = FrameRate(rate, burst, clock.monotonic()) if rate else None
        self._kept = burst * KEPT_SHARE
        self._clock = clock
        self._random = entropy.random
        self.refused = 0
        """How many were told to come back later."""

    def check(self, *, is_stranger: bool) -> None:
        """Count one who comes. Raises Problem(OVERLOADED) when too many do."""
        if self._bucket is None:
            return
        kept = self._kept if is_stranger else 0.0
        if self._bucket.take(self._clock.monotonic(), kept=kept) > 0.0:
            self.refused += 1
            raise Problem(ErrorCode.OVERLOADED, retry_after_s=self._random.uniform(*RETRY_S))
