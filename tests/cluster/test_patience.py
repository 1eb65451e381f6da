"""For how long those who lived before Redis was away are believed to live still."""

from kefu.cluster.patience import SAID_AGAIN_S, Patience
from kefu.cluster.ports import Member

A, B = Member("a"), Member("b")
BEAT_S = 0.5


def seen_both() -> Patience:
    patience = Patience()
    patience.pass_time(0.0, is_there=True)
    assert patience.living({"a": A, "b": B}) == {"a": A, "b": B}
    return patience


def beat(patience: Patience, *times_s: float) -> None:
    for now in times_s:
        patience.pass_time(now, is_there=True)


def test_nobody_is_missed_whom_redis_showed_no_more_by_itself() -> None:
    assert seen_both().living({"a": A}) == {"a": A}


def test_whoever_lived_before_lives_until_the_time_to_say_so_has_passed() -> None:
    patience = seen_both()
    patience.begin()
    assert patience.living({"a": A}) == {"a": A, "b": B}
    beat(patience, SAID_AGAIN_S - 0.01)
    assert patience.living({"a": A}) == {"a": A, "b": B}
    beat(patience, SAID_AGAIN_S + 0.01)
    assert patience.living({"a": A}) == {"a": A}


def test_time_without_redis_does_not_count() -> None:
    patience = seen_both()
    patience.begin()
    beat(patience, BEAT_S)
    for now in (1.0, 60.0):
        patience.pass_time(now, is_there=False)
    beat(patience, 61.0, 61.0 + BEAT_S)
    assert patience.lasts
    beat(patience, 61.1 + 2 * BEAT_S)
    assert not patience.lasts


def test_a_redis_that_goes_again_prolongs_nothing() -> None:
    patience = seen_both()
    patience.begin()
    beat(patience, SAID_AGAIN_S - 0.01)
    patience.begin()
    beat(patience, SAID_AGAIN_S + 0.01)
    assert not patience.lasts


def test_who_has_seen_nobody_yet_waits_for_nobody() -> None:
    patience = Patience()
    patience.begin()
    assert not patience.lasts
