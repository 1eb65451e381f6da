"""The one order of the queue, as the specification's sentence says it."""

from itertools import pairwise
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.conversations.announce import waiting_of
from kefu.dispatch.messages import Waiting
from kefu.dispatch.queue import URGENT_AFTER_S, in_order, position, priority
from tests.conversations import cast

NOW = 1_795_000_000.0


def waits(number: int, *, waited: float = 10, vip: bool = False, pressing: bool = False) -> Waiting:
    return Waiting(UUID(int=number), UUID(int=number), NOW - waited, vip, pressing)


WAITING = st.builds(
    waits,
    st.integers(1, 10**6),
    waited=st.one_of(st.floats(0, 900), st.sampled_from([299.0, 300.0, 300.5, 301.0])),
    vip=st.booleans(),
    pressing=st.booleans(),
)
MANY = st.lists(WAITING, max_size=30, unique_by=lambda one: one.chat_id)


def goes_before(one: Waiting, other: Waiting) -> bool:
    """The sentence, word by word: VIP first, then urgent > high > normal, then longest wait."""
    if one.is_vip != other.is_vip:
        return one.is_vip
    grades = ["urgent", "high", "normal"]
    mine, theirs = grades.index(grade(one)), grades.index(grade(other))
    if mine != theirs:
        return mine < theirs
    if one.since != other.since:
        return one.since < other.since
    return one.chat_id.bytes < other.chat_id.bytes


def grade(one: Waiting) -> str:
    """urgent: VIP or waiting > 5 min; high: a pressing word or coming back a second time."""
    if one.is_vip or NOW - one.since > 300:
        return "urgent"
    return "high" if one.is_pressing else "normal"


@settings(deadline=None)
@given(many=MANY)
def test_everybody_stands_where_the_sentence_puts_them(many: list[Waiting]) -> None:
    ordered = in_order(many, NOW)
    assert sorted(one.chat_id for one in ordered) == sorted(one.chat_id for one in many)
    for before, after in pairwise(ordered):
        assert goes_before(before, after)
        assert not goes_before(after, before)


@settings(deadline=None)
@given(many=MANY, data=st.data())
def test_the_order_does_not_depend_on_who_came_to_the_list_first(
    many: list[Waiting], data: st.DataObject
) -> None:
    mixed = data.draw(st.permutations(many))
    assert in_order(mixed, NOW) == in_order(many, NOW)


@settings(deadline=None)
@given(many=MANY)
def test_a_position_is_the_place_in_the_order(many: list[Waiting]) -> None:
    for place, one in enumerate(in_order(many, NOW), start=1):
        assert position(one, many, NOW) == place


@settings(deadline=None)
@given(one=WAITING)
def test_a_priority_is_what_the_sentence_says(one: Waiting) -> None:
    assert priority(one, NOW) == grade(one)


def test_five_minutes_are_not_yet_more_than_five_minutes() -> None:
    assert priority(waits(1, waited=URGENT_AFTER_S), NOW) == "normal"
    assert priority(waits(1, waited=URGENT_AFTER_S + 0.001), NOW) == "urgent"


def test_who_comes_back_to_the_queue_is_pressing() -> None:
    first = cast.after(cast.opening(wants_human=True))
    again = cast.after(cast.opening(wants_human=True), cast.accept(cast.KE), cast.requeue(cast.KE))
    assert not waiting_of(first).is_pressing
    assert waiting_of(again).is_pressing
