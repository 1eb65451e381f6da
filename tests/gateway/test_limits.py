"""How fast one connection may send. The time is handed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.gateway.limits import FrameRate, InvalidFrames

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
