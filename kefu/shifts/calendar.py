"""Hours of a day put on the calendar of a time zone.

Where a clock change skips a time, what was to happen at it happens at the change; where it repeats
one, it happens the first time. So one shift ends exactly where the next begins, and none flickers.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kefu.shifts.hours import MINUTES_OF_DAY, Hours
from kefu.shifts.messages import Duty

DAYS_AHEAD: Final = 366
DAYS_BEHIND: Final = 2  # a shift may last until the day after, and a zone may leave out a day
ALWAYS: Final = Duty(is_open=True)


def duty(hours: Hours, zone: ZoneInfo, at: datetime) -> Duty:
    """Whether humans are there at that time; `next_start` is written in `zone`."""
    if hours.is_always:
        return ALWAYS
    at = at.astimezone(UTC)  # times of one zone are compared by its clocks, not by what passes
    start, end = hours.span
    today = at.astimezone(zone).date()
    for ahead in range(-DAYS_BEHIND, DAYS_AHEAD + 1):
        day = today + timedelta(days=ahead)
        if not hours.is_worked(day.isoformat(), day.weekday()):
            continue
        begins, ends = moment(zone, day, start), moment(zone, day, end)
        if begins >= ends or ends <= at:
            continue
        if begins <= at:
            return ALWAYS
        return Duty(is_open=False, next_start=begins.astimezone(zone))
    return Duty(is_open=False)


def moment(zone: ZoneInfo, day: date, minute: int) -> datetime:
    """The first moment at which the clocks of the zone show this minute of the day, or a later one.

    `minute` may be one of the next day. The answer is in UTC.
    """
    wall = datetime.combine(day + timedelta(days=minute // MINUTES_OF_DAY), time())
    wall += timedelta(minutes=minute % MINUTES_OF_DAY)
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(first, zone) == wall:
        return first
    # skipped: the clocks are set forward somewhere between the two readings of that time
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while first - before > timedelta(seconds=1):
        middle = before + (first - before) // 2
        if _wall(middle, zone) < wall:
            before = middle
        else:
            first = middle
    return first.replace(microsecond=0)


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of that name; None when this machine knows none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no proper name, a folder of names
        return None


def is_date(text: str) -> bool:
    """Whether YYYY-MM-DD names a day there is."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)
