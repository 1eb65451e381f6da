"""The figures behind two alerts: of the last five minutes, and only when they say something."""

from hypothesis import given
from hypothesis import strategies as st

from kefu.notifications.pulse import BOUNDS_S, DRAWER_S, DRAWERS, ENOUGH_CALLS, Pulse
from tests.fakes.clock import HandClock


def test_few_calls_say_nothing() -> None:
    pulse = Pulse(HandClock())
    for _ in range(ENOUGH_CALLS - 1):
        pulse.note(5.0, has_failed=True)
    assert (pulse.error_rate(), pulse.latency_s()) == (None, None)
    pulse.note(5.0, has_failed=False)
    assert pulse.error_rate() == (ENOUGH_CALLS - 1) / ENOUGH_CALLS


def test_what_is_old_is_forgotten() -> None:
    clock = HandClock()
    pulse = Pulse(clock)
    for _ in range(100):
        pulse.note(5.0, has_failed=True)
    clock.advance(DRAWER_S * (DRAWERS - 1))
    for _ in range(100):
        pulse.note(0.02, has_failed=False)
    assert pulse.error_rate() == 0.5
    clock.advance(DRAWER_S)
    assert pulse.error_rate() == 0.0
    clock.advance(DRAWER_S * DRAWERS)
    assert pulse.error_rate() is None


@given(st.lists(st.floats(0.01, 100), min_size=ENOUGH_CALLS, max_size=300))
def test_the_latency_is_what_95_of_100_took_or_a_tenth_more(took: list[float]) -> None:
    pulse = Pulse(HandClock())
    for seconds in took:
        pulse.note(seconds, has_failed=False)
    exact = sorted(took)[len(took) - int(len(took) * 0.05) - 1]
    found = pulse.latency_s()
    assert found is not None
    assert exact <= found <= exact * 1.1 + 1e-9


def test_an_endless_call_counts_as_the_longest() -> None:
    pulse = Pulse(HandClock())
    for _ in range(ENOUGH_CALLS):
        pulse.note(10_000.0, has_failed=False)
    assert pulse.latency_s() == BOUNDS_S[-1]
