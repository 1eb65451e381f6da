"""Where things belong: every slot to exactly one instance, and no more moves than need be."""

from uuid import UUID
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.cluster.placement import SLOT_COUNT, owner_of, slot_of, to_hand_over, wanted_by

SLOTS = range(SLOT_COUNT)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
shares = st.floats(0.1, 10.0)
towns = st.dictionaries(names, shares, min_size=1, max_size=6)
few = settings(max_examples=15, deadline=None)


def owners(weights: dict[str, float]) -> list[str | None]:
    return [owner_of(slot, weights) for slot in SLOTS]


@few
@given(towns)
def test_every_slot_is_wanted_by_exactly_one(weights: dict[str, float]) -> None:
    wanted = [slot for name in weights for slot in wanted_by(name, SLOTS, weights)]
    assert sorted(wanted) == list(SLOTS)


def test_without_instances_nobody_owns_anything() -> None:
    assert owner_of(7, {}) is None


@few
@given(towns, names, shares)
def test_who_comes_takes_only_what_becomes_its_own(
    weights: dict[str, float], newcomer: str, share: float
) -> None:
    before = {name: weight for name, weight in weights.items() if name != newcomer}
    after = {**before, newcomer: share}
    moved = zip(owners(before), owners(after), strict=True)
    assert all(now in (was, newcomer) for was, now in moved)


@few
@given(towns, names, shares)
def test_who_leaves_moves_only_its_own(
    weights: dict[str, float], leaver: str, share: float
) -> None:
    before = {**weights, leaver: share}
    after = {name: weight for name, weight in before.items() if name != leaver}
    for was, now in zip(owners(before), owners(after), strict=True):
        assert was == leaver or was == now


def test_the_order_of_the_instances_says_nothing() -> None:
    weights = {"a": 1.0, "b": 2.0, "c": 1.0}
    assert owners(weights) == owners(dict(reversed(weights.items())))


def test_shares_follow_the_weights() -> None:
    weights = {"a": 1.0, "b": 2.0, "c": 5.0}
    found = owners(weights)
    for name, weight in weights.items():
        assert abs(found.count(name) / SLOT_COUNT - weight / 8.0) < 0.05


@few
@given(towns)
def test_weight_zero_owns_nothing_beside_others(weights: dict[str, float]) -> None:
    everybody = {**weights, "leaving": 0.0}
    assert wanted_by("leaving", SLOTS, everybody) == []


@few
@given(
    towns.filter(lambda town: len(town) > 1),
    st.sets(st.sampled_from(SLOTS), min_size=1),
    st.floats(0, 1),
)
def test_a_round_hands_over_a_bounded_share_and_only_what_is_anothers(
    weights: dict[str, float], mine: set[int], share: float
) -> None:
    me = next(iter(weights))
    moves = to_hand_over(mine, me, weights, share=share)
    elsewhere = {slot for slot in mine if owner_of(slot, weights) != me}
    assert moves == {slot: owner_of(slot, weights) for slot in moves}
    assert moves.keys() <= elsewhere
    assert len(moves) == min(len(elsewhere), max(1, int(len(mine) * share)))


@few
@given(towns, st.sets(st.sampled_from(SLOTS), min_size=1))
def test_whoever_leaves_hands_over_everything_at_once(
    weights: dict[str, float], mine: set[int]
) -> None:
    others = {name: weight for name, weight in weights.items() if name != "me"} or {"other": 1.0}
    assert to_hand_over(mine, "me", others, share=1.0).keys() == mine


@given(st.uuids())
def test_a_customers_slot_is_the_number_stored_with_their_chats(customer_id: UUID) -> None:
    assert slot_of(str(customer_id)) == crc32(customer_id.bytes) % SLOT_COUNT


def test_slots_never_change() -> None:
    """They are stored: another number would tear chats from their history."""
    found = [slot_of(key) for key in (str(UUID(int=0)), str(UUID(int=2**128 - 1)), "main")]
    assert found == [853, 538, 356]


@given(st.text(st.characters(codec="utf-8"), max_size=50))
def test_any_key_has_a_slot(key: str) -> None:
    assert slot_of(key) in SLOTS
