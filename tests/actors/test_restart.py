"""The rules of restarting, tried with many histories."""

from hypothesis import given
from hypothesis import strategies as st

from actors.restart import NO_CRASHES, USUAL, Quarantine, RestartIn, RestartPolicy, after_crash

chances = st.floats(0, 1, exclude_max=True)
gaps = st.lists(st.tuples(st.floats(0, 100), chances), min_size=1, max_size=60)


@given(chance=chances, now=st.floats(0, 1e6))
def test_the_first_restart_is_immediate(chance: float, now: float) -> None:
    _, verdict = after_crash(USUAL, NO_CRASHES, now=now, chance=chance)
    assert verdict == RestartIn(0.0)


@given(gaps)
def test_delays_and_quarantines_stay_within_their_caps(gaps: list[tuple[float, float]]) -> None:
    history, now = NO_CRASHES, 0.0
    for gap, chance in gaps:
        now += gap
        history, verdict = after_crash(USUAL, history, now=now, chance=chance)
        if isinstance(verdict, RestartIn):
            assert 0 <= verdict.delay_s <= USUAL.delay_cap_s * 1.2
        else:
            assert 0.8 <= verdict.duration_s <= USUAL.quarantine_cap_s * 1.2
            now += verdict.duration_s


@given(gaps)
def test_it_never_restarts_more_often_than_its_intensity(gaps: list[tuple[float, float]]) -> None:
    history, now = NO_CRASHES, 0.0
    restarts: list[float] = []
    for gap, chance in gaps:
        now += gap
        history, verdict = after_crash(USUAL, history, now=now, chance=chance)
        if isinstance(verdict, RestartIn):
            restarts.append(now)
            window = [at for at in restarts if now - at < USUAL.window_s]
            assert len(window) < USUAL.intensity


def test_five_crashes_in_thirty_seconds_mean_quarantine_and_a_failed_trial_doubles_it() -> None:
    policy = RestartPolicy(jitter=0.0)
    history, now = NO_CRASHES, 100.0
    for _ in range(4):
        history, verdict = after_crash(policy, history, now=now, chance=0.5)
        assert isinstance(verdict, RestartIn)
    durations = []
    for _ in range(8):
        history, verdict = after_crash(policy, history, now=now, chance=0.5)
        assert isinstance(verdict, Quarantine)
        durations.append(verdict.duration_s)
        now += verdict.duration_s
    assert durations == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_passed_trial_is_forgiven() -> None:
    policy = RestartPolicy(intensity=1, jitter=0.0)
    history, first = after_crash(policy, NO_CRASHES, now=0.0, chance=0.5)
    history, again = after_crash(policy, history, now=first_end(first) + 29.0, chance=0.5)
    assert again == Quarantine(2.0)
    history, calm = after_crash(policy, history, now=1000.0, chance=0.5)
    assert calm == Quarantine(1.0)


def first_end(verdict: RestartIn | Quarantine) -> float:
    assert isinstance(verdict, Quarantine)
    return verdict.duration_s


@given(st.integers(0, 59))
def test_chance_spreads_delays_by_a_fifth(percent: int) -> None:
    history, _ = after_crash(USUAL, NO_CRASHES, now=0.0, chance=0.5)
    _, verdict = after_crash(USUAL, history, now=0.0, chance=percent / 60)
    assert isinstance(verdict, RestartIn)
    assert 0.08 <= verdict.delay_s <= 0.12
