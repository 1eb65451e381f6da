"""The hours of one shift, as the clock on the wall shows them. Pure: no dates, no zones.

A shift belongs to the day it begins on: the night from Friday to Saturday is Friday's, and is
worked also where weekends are not. An end at or before the start is one of the next day.
"""

from typing import Final

from msgspec import Struct

MINUTES_OF_DAY: Final = 24 * 60
SATURDAY: Final = 5


class Hours(Struct, frozen=True):
    """`start` and `end` are minutes of the day, `end` up to 24:00. `holidays` are YYYY-MM-DD."""

    start: int = 0
    end: int = MINUTES_OF_DAY
    weekends_disabled: bool = False
    holidays: frozenset[str] = frozenset()

    @property
    def span(self) -> tuple[int, int]:
        """Beginning and end in minutes after the day's midnight; the end may be the next day's."""
        end = self.end if self.end > self.start else self.end + MINUTES_OF_DAY
        return self.start, end

    @property
    def is_always(self) -> bool:
        """One shift follows the other without a gap."""
        start, end = self.span
        is_whole = end - start >= MINUTES_OF_DAY
        return is_whole and not self.weekends_disabled and not self.holidays

    def is_worked(self, day: str, weekday: int) -> bool:
        """Whether a shift begins on this day; Monday is 0."""
        if self.weekends_disabled and weekday >= SATURDAY:
            return False
        return day not in self.holidays


def minute_of(text: str) -> int | None:
    """The minute of the day that "HH:MM" names, up to 24:00; None when it names none."""
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) == len(minute) == 2 and (hour + minute).isdecimal()):
        return None
    if not (hour + minute).isascii() or int(minute) > 59:
        return None
    total = int(hour) * 60 + int(minute)
    return total if total <= MINUTES_OF_DAY else None
