"""How fast one connection may send. The time is handed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.gateway import limits
from kefu.gateway.limits import PEOPLE_REMEMBERED, FrameRate, FrameRates, InvalidFrames

START = 1000.0


def test_a_burst_is_let_through_and_then_the_rate_holds() -> None:
    rate = FrameRate(20, 60, START)
    assert [rate.take(START) for _ in range(60)] == [0.0] * 60
    assert rate.take(START) == pytest.approx(0.05)
    assert rate.take(START + 0.0501) == 0.0
    assert rate.take(START + 0.0501) > 0


def test_who_waits_as_long_as_they_were_told_may_go_on() -> None:
    rate = FrameRate(3, 1, START)
    rate.take(START)
    wait_s = rate.take(START)
    assert rate.take(START + wait_s + 1e-9) == 0.0


def test_a_long_rest_earns_one_burst_and_no_more() -> None:
    rate = FrameRate(20, 60, START)
    later = START + 3600
    assert sum(rate.take(later) == 0.0 for _ in range(100)) == 60


@given(st.lists(st.floats(0, 5), max_size=300))
def test_no_pattern_gets_more_than_burst_and_rate(pauses: list[float]) -> None:
    rate, now, passed = FrameRate(20, 60, START), START, 0
    for pause in pauses:
        now += pause
        passed += rate.take(now) == 0.0
    assert passed <= 60 + 20 * (now - START) + 1e-6


def test_a_hundred_invalid_frames_in_ten_seconds_are_too_many() -> None:
    invalid = InvalidFrames()
    assert [invalid.count(START + n / 10) for n in range(99)] == [False] * 99
    assert invalid.count(START + 10)


def test_a_hundred_in_more_than_ten_seconds_are_not() -> None:
    invalid = InvalidFrames()
    assert not any(invalid.count(START + n * 0.102) for n in range(1000))


# --- people whose frames come by one request after another ---------------------------------------

VISITS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 4), st.integers(1, 30)))


@given(VISITS)
def test_over_all_their_requests_nobody_gets_more_than_burst_and_rate(
    visits: list[tuple[str, float, int]],
) -> None:
    rates, now, passed = FrameRates(20, 60), START, dict.fromkeys("abc", 0)
    for person, pause, count in visits:
        now += pause
        bucket = rates.of(person, now)
        passed[person] += sum(bucket.take(now) == 0.0 for _ in range(count))
        assert passed[person] <= 60 + 20 * (now - START) + 1e-6


def test_who_has_rested_is_forgotten() -> None:
    rates = FrameRates(20, 60)
    for number in range(100):
        rates.of(str(number), START).take(START)
    assert len(rates) == 100
    rates.of("late", START + 1)
    assert len(rates) == 1


def test_so_many_people_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PEOPLE_REMEMBERED", 10)
    rates = FrameRates(20, 60)
    for number in range(100):
        for _ in range(60):
            rates.of(str(number), START).take(START)
    assert len(rates) == 10
    assert rates.of("99", START).take(START) > 0
    assert PEOPLE_REMEMBERED >= 1000
