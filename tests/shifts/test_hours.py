"""When humans are on duty, against a slow reading of the clock on the wall, minute by minute."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kefu.shifts.calendar import DAYS_AHEAD, duty, is_date, moment, zone_of
from kefu.shifts.hours import MINUTES_OF_DAY, Hours, minute_of
from kefu.shifts.messages import Duty

MINUTE = timedelta(minutes=1)
# Near clock changes of all kinds: an hour, half an hour, at midnight, a day left out, none at all.
CHANGES = (
    ("Asia/Shanghai", datetime(2026, 1, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=UTC)),
)
places = st.sampled_from(CHANGES).flatmap(
    lambda change: st.tuples(
        st.just(ZoneInfo(change[0])),
        st.integers(-3 * MINUTES_OF_DAY, 3 * MINUTES_OF_DAY).map(
            lambda minutes: change[1] + minutes * MINUTE
        ),
    )
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Hours, ZoneInfo, datetime]:
    """Hours, often near the time asked about, with holidays around it."""
    zone, at = draw(places)
    near = at.astimezone(zone)
    minutes = st.integers(0, MINUTES_OF_DAY - 1) | st.integers(-90, 90).map(
        lambda away: (near.hour * 60 + near.minute + away) % MINUTES_OF_DAY
    )
    days = [(near.date() + timedelta(days=ahead)).isoformat() for ahead in range(-2, 5)]
    return (
        Hours(
            start=draw(minutes),
            end=draw(minutes | st.just(MINUTES_OF_DAY)),
            weekends_disabled=draw(st.booleans()),
            holidays=frozenset(draw(st.lists(st.sampled_from(days), max_size=4))),
        ),
        zone,
        at,
    )


def readings(zone: ZoneInfo, start: datetime, minutes: int) -> Iterator[tuple[datetime, datetime]]:
    """Every minute with what a wall clock shows that is never turned back: where the zone repeats
    an hour, it stands still."""
    shown = datetime.min
    for step in range(minutes):
        at = start + step * MINUTE
        shown = max(shown, at.astimezone(zone).replace(tzinfo=None))
        yield at, shown


def is_worked(hours: Hours, day: date) -> bool:
    if hours.weekends_disabled and day.strftime("%a") in ("Sat", "Sun"):
        return False
    return str(day) not in hours.holidays


def is_within(hours: Hours, shown: datetime) -> bool:
    """Whether the clock shows a time of a shift that began today or yesterday."""
    today, yesterday = shown.date(), shown.date() - timedelta(days=1)
    minute = shown.hour * 60 + shown.minute
    if hours.start < hours.end:
        return is_worked(hours, today) and hours.start <= minute < hours.end
    if minute >= hours.start:
        return is_worked(hours, today)
    return minute < hours.end and is_worked(hours, yesterday)


def slow_duty(hours: Hours, zone: ZoneInfo, at: datetime) -> Duty:
    before, ahead = 180, 12 * MINUTES_OF_DAY  # no clock is set back further than that
    walked = readings(zone, at - before * MINUTE, before + ahead)
    now_open: bool | None = None
    for minute, shown in walked:
        is_open = is_within(hours, shown)
        if minute == at:
            now_open = is_open
            if is_open:
                return Duty(is_open=True)
        elif now_open is False and is_open:
            return Duty(is_open=False, next_start=minute)
    return Duty(is_open=False)


def in_utc(said: Duty) -> Duty:
    """Two times that a clock change repeats are equal to none of another zone."""
    if said.next_start is None:
        return said
    return Duty(said.is_open, said.next_start.astimezone(UTC))


@settings(max_examples=400, deadline=None)
@given(cases())
@example((Hours(22 * 60, 6 * 60), ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 1, tzinfo=UTC)))
@example((Hours(120, 180), ZoneInfo("Europe/Berlin"), datetime(2026, 3, 28, 12, tzinfo=UTC)))
@example((Hours(150, 600), ZoneInfo("Europe/Berlin"), datetime(2026, 3, 29, 1, 10, tzinfo=UTC)))
@example((Hours(179, 0), ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 0, 58, tzinfo=UTC)))
@example((Hours(0, 1440), ZoneInfo("Pacific/Apia"), datetime(2011, 12, 30, 10, tzinfo=UTC)))
def test_duty_is_what_the_clock_on_the_wall_says(case: tuple[Hours, ZoneInfo, datetime]) -> None:
    hours, zone, at = case
    said = duty(hours, zone, at)
    assert in_utc(said) == slow_duty(hours, zone, at)
    assert duty(hours, zone, at.astimezone(zone)) == said


@settings(max_examples=200, deadline=None)
@given(places, st.integers(0, 2 * MINUTES_OF_DAY))
def test_a_moment_is_the_first_that_shows_it(place: tuple[ZoneInfo, datetime], minute: int) -> None:
    zone, at = place
    day = at.date()
    wanted = datetime(day.year, day.month, day.day) + minute * MINUTE
    start = wanted.replace(tzinfo=UTC) - timedelta(hours=17)  # no zone is further ahead than 14 h
    first = next(at for at, shown in readings(zone, start, 5_000) if shown >= wanted)
    assert moment(zone, day, minute) == first


@settings(deadline=None)
@given(cases())
def test_what_is_promised_is_kept(case: tuple[Hours, ZoneInfo, datetime]) -> None:
    hours, zone, at = case
    said = in_utc(duty(hours, zone, at))
    if said.next_start is not None:
        assert said.next_start > at
        assert duty(hours, zone, said.next_start) == Duty(is_open=True)
        assert not duty(hours, zone, said.next_start - timedelta(seconds=1)).is_open


def test_nothing_said_is_always() -> None:
    assert duty(Hours(), ZoneInfo("Asia/Shanghai"), datetime.max.replace(tzinfo=UTC)).is_open
    assert Hours(start=600, end=600).is_always
    assert not Hours(holidays=frozenset({"2026-10-01"})).is_always


def test_the_night_from_friday_is_fridays() -> None:
    night = Hours(start=22 * 60, end=6 * 60, weekends_disabled=True)
    zone = ZoneInfo("Asia/Shanghai")
    friday = datetime(2026, 11, 27, 23, tzinfo=zone)
    assert duty(night, zone, friday).is_open
    assert duty(night, zone, friday + timedelta(hours=6)).is_open
    saturday = friday + timedelta(hours=7)
    monday = datetime(2026, 11, 30, 22, tzinfo=zone)
    assert duty(night, zone, saturday) == Duty(is_open=False, next_start=monday)
    assert duty(night, zone, monday - timedelta(hours=20)).next_start == monday


def test_a_year_of_holidays_has_no_next_start() -> None:
    zone, today = ZoneInfo("Asia/Shanghai"), date(2026, 1, 1)
    closed = frozenset(str(today + timedelta(days=n)) for n in range(-2, DAYS_AHEAD + 2))
    at = datetime(2026, 1, 1, 12, tzinfo=zone)
    assert duty(Hours(540, 1080, holidays=closed), zone, at) == Duty(is_open=False)


@given(st.integers(0, MINUTES_OF_DAY))
def test_every_minute_of_the_day_can_be_written(minute: int) -> None:
    assert minute_of(f"{minute // 60:02}:{minute % 60:02}") == minute


@pytest.mark.parametrize(
    "text", ["", "9:00", "09:60", "24:01", "25:00", "0900", "-1:00", "09:00 ", "٠٩:٠٠", "²0:00"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert minute_of(text) is None


@pytest.mark.parametrize("name", ["", "Nowhere/Land", "../etc/passwd", "/etc/passwd", "America"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_of(name) is None


def test_only_days_that_there_are_count_as_holidays() -> None:
    assert is_date("2028-02-29")
    assert not any(map(is_date, ("2026-02-29", "20260101", "2026-W01-1", "tomorrow")))
