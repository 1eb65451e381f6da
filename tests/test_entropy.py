"""Ids rise whatever the clock does; the hand-made clock and chance behave like the real ones."""

from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.clock import SystemClock
from kefu.entropy import SystemEntropy, uuid7
from kefu.errors import Problem
from protocol.codes import ErrorCode
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy


@given(st.lists(st.floats(min_value=-86_400, max_value=86_400), min_size=2, max_size=50))
def test_ids_rise_even_when_the_time_of_day_is_set_back(skews: list[float]) -> None:
    clock = HandClock()
    entropy = SystemEntropy(clock)
    ids = []
    for skew_s in skews:
        clock.skew_s = skew_s
        ids.append(entropy.uuid())
    assert ids == sorted(set(ids))
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}


def test_more_ids_than_a_millisecond_counts_still_rise() -> None:
    entropy = SystemEntropy(HandClock())
    ids = [entropy.uuid() for _ in range(10_000)]
    assert ids == sorted(set(ids))


def test_an_id_begins_with_its_millisecond() -> None:
    clock = HandClock()
    stamp = SystemEntropy(clock).uuid().int >> 80
    assert stamp == int(clock.now().timestamp() * 1000)
    assert uuid7(stamp, 0, 0) < uuid7(stamp, 1, 0) < uuid7(stamp + 1, 0, 0)


def test_tokens_differ_and_are_as_long_as_asked() -> None:
    entropy = SystemEntropy(SystemClock())
    tokens = {entropy.token(32) for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}


def test_the_same_seed_makes_the_same_ids() -> None:
    def some(entropy: SeededEntropy) -> list[object]:
        return [entropy.uuid(), entropy.token(32), entropy.random.random(), entropy.uuid()]

    assert some(SeededEntropy(7)) == some(SeededEntropy(7))
    assert some(SeededEntropy(7)) != some(SeededEntropy(8))
    entropy = SeededEntropy()
    ids = [entropy.uuid() for _ in range(1000)]
    assert ids == sorted(set(ids))


def test_a_skewed_clock_moves_the_time_of_day_alone() -> None:
    clock = HandClock()
    noon, ticks = clock.now(), clock.monotonic()
    clock.skew_s = -3600
    assert clock.now() == noon - timedelta(hours=1)
    assert clock.monotonic() == ticks
    clock.advance(2.5)
    assert clock.monotonic() == ticks + 2.5
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_the_real_clock_knows_its_zone_and_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_a_problem_carries_status_sentence_and_what_to_wait_for() -> None:
    plain = Problem(ErrorCode.CHAT_NOT_FOUND)
    assert (plain.status, plain.message) == (404, "There is no such chat.")
    assert (plain.retry_after_s, plain.fields) == (None, {})
    busy = Problem(ErrorCode.RATE_LIMITED, "Slowly.", 3, {"content": "too long"})
    assert (busy.status, busy.message, busy.retry_after_s) == (429, "Slowly.", 3)
    assert busy.fields == {"content": "too long"}
