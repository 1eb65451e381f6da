"""A clock turned by hand, whose time of day can be wrong.

`skew_s` moves only `now`: code that measures a deadline with the time of day fails under it.
"""

from datetime import UTC, datetime, timedelta


class HandClock:
    """Stands still until `advance`."""

    def __init__(
        self,
        start: datetime = datetime(2026, 11, 21, 9, 0, tzinfo=UTC),
        *,
        skew_s: float = 0.0,
        monotonic_start: float = 7_654_321.0,
    ) -> None:
        self._start = start
        self._passed = 0.0
        self._monotonic_start = monotonic_start
        self.skew_s = skew_s

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed + self.skew_s)

    def monotonic(self) -> float:
        return self._monotonic_start + self._passed

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass for both faces of the clock."""
        if seconds < 0:
            raise ValueError("time does not go back; set skew_s to move the time of day")
        self._passed += seconds
