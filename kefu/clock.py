"""The only place that asks what time it is.

Everything else is handed a `Clock`, so that tests turn the time by hand and a simulation runs a
day in a second. Deadlines are measured with `monotonic`: `now` may jump when an operator or NTP
sets the machine's clock.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, and how much of it has passed."""

    def now(self) -> datetime:
        """The time of day, always with its zone, always UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
