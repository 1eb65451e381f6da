"""The order of what goes to a slot, through any number of owners, and that nothing is kept."""

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors import ActorId
from kefu.cluster import asking as limits
from kefu.cluster.asking import Asking, Parcel

KEYS = ("a", "b", "c")
OWNERS = ("n1", "n2")


class Questions(RuleBasedStateMachine):
    """As the transport uses it: each box has an owner (or none for now), who answers the first of
    what it was asked, or turns away all of it from some question on."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.asking = Asking()
        self.owner: dict[str, str | None] = dict.fromkeys(KEYS, "n1")
        self.next = dict.fromkeys(KEYS, 0)
        self.under_way: dict[tuple[str, str], list[Parcel]] = {}
        """What each owner has of each box, in the order it was sent there."""
        self.handled: dict[str, list[int]] = {key: [] for key in KEYS}
        self.given_up: set[tuple[str, int]] = set()

    def _send(self, parcel: Parcel, owner: str) -> None:
        asked = self.asking.sent(parcel, owner)
        assert self.asking.find(asked) is parcel
        self.under_way.setdefault((owner, parcel.id.key), []).append(parcel)

    def _release(self, key: str) -> None:
        slot, owner = self.asking.parcel(ActorId("box", key), 0).slot, self.owner[key]
        if owner is not None and self.asking.may_release(slot):
            for parcel in self.asking.release(slot):
                self._send(parcel, owner)

    @rule(key=st.sampled_from(KEYS))
    def ask(self, key: str) -> None:
        answer: asyncio.Future[object] = self.loop.create_future()
        parcel = self.asking.parcel(ActorId("box", key), self.next[key], answer, 1.0)
        self.next[key] += 1
        owner = self.owner[key]
        if self.asking.is_clear(parcel.slot, owner):
            assert owner is not None
            self._send(parcel, owner)
        else:
            assert self.asking.park(parcel)

    @rule(key=st.sampled_from(KEYS), owner=st.sampled_from((*OWNERS, None)))
    def change_hands(self, key: str, owner: str | None) -> None:
        self.owner[key] = owner
        self._release(key)

    @precondition(lambda self: any(self.under_way.values()))
    @rule(data=st.data())
    def answer(self, data: Any) -> None:
        place = data.draw(st.sampled_from([p for p, has in self.under_way.items() if has]))
        self._answer(self.under_way[place].pop(0))

    def _answer(self, parcel: Parcel) -> None:
        self.handled[parcel.id.key].append(int(str(parcel.message)))
        assert parcel.answer is not None
        parcel.answer.set_result(None)
        self.asking.settle(parcel)
        self._release(parcel.id.key)

    @precondition(lambda self: any(self.under_way.values()))
    @rule(data=st.data())
    def turn_away(self, data: Any) -> None:
        place = data.draw(st.sampled_from([p for p, has in self.under_way.items() if has]))
        turned_away, self.under_way[place] = self.under_way[place], []
        for parcel in data.draw(st.permutations(turned_away)):
            self.asking.settle(parcel)
            assert self.asking.park(parcel, is_turned_away=True)
        self._release(place[1])

    @rule(owner=st.sampled_from(OWNERS))
    def lose(self, owner: str) -> None:
        for parcel in self.asking.asked_of(owner):
            self.asking.settle(parcel)
            assert self.asking.park(parcel, is_turned_away=True)
        for place in [place for place in self.under_way if place[0] == owner]:
            del self.under_way[place]
            self._release(place[1])

    @precondition(lambda self: any(self.under_way.values()))
    @rule(data=st.data())
    def give_up(self, data: Any) -> None:
        """Its deadline has passed: it is settled, though whoever has it may still do it."""
        place = data.draw(st.sampled_from([p for p, has in self.under_way.items() if has]))
        parcel = self.under_way[place].pop(
            data.draw(st.integers(0, len(self.under_way[place]) - 1))
        )
        assert parcel.answer is not None
        parcel.answer.set_result(None)
        self.given_up.add((place[1], int(str(parcel.message))))
        self.asking.settle(parcel)
        self._release(place[1])

    @invariant()
    def the_order_is_kept(self) -> None:
        for handled in self.handled.values():
            assert handled == sorted(handled)

    @invariant()
    def only_one_owner_has_anything_of_a_box(self) -> None:
        for key in KEYS:
            assert len({o for (o, k), has in self.under_way.items() if k == key and has}) <= 1

    def teardown(self) -> None:
        for key in KEYS:
            self.owner[key] = "n1"
            self._release(key)
        while any(self.under_way.values()):
            for has in tuple(self.under_way.values()):
                if has:
                    self._answer(has.pop(0))
        self.loop.close()
        for key in KEYS:
            done = set(self.handled[key]) | {n for k, n in self.given_up if k == key}
            assert done == set(range(self.next[key])), "each is handled or given up"
        kept = {name: value for name, value in vars(self.asking).items() if name[1:] in KEPT}
        assert len(kept) == len(KEPT)
        assert not any(kept.values()), f"nothing is kept for ever: {kept}"


KEPT = ("asked", "asked_by_slot", "parked", "parked_count")
TestQuestions = Questions.TestCase
TestQuestions.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Asking:
    monkeypatch.setattr(limits, "PARKED_PER_SLOT", 3)
    monkeypatch.setattr(limits, "PARKED_IN_ALL", 5)
    return Asking()


def parked(asking: Asking, key: str, *, is_turned_away: bool = False) -> bool:
    return asking.park(asking.parcel(ActorId("box", key), None), is_turned_away=is_turned_away)


def test_only_so_much_waits_for_one_slot(small: Asking) -> None:
    assert [parked(small, "a") for _ in range(4)] == [True, True, True, False]


def test_only_so_much_waits_in_all(small: Asking) -> None:
    assert [parked(small, key) for key in ("a", "a", "a", "b", "b", "c")] == [True] * 5 + [False]


def test_what_was_sent_once_finds_room_when_it_comes_back(small: Asking) -> None:
    for _ in range(3):
        parked(small, "a")
    assert parked(small, "a", is_turned_away=True)


def test_room_is_there_again_after_a_release(small: Asking) -> None:
    for _ in range(3):
        parked(small, "a")
    slot = small.parcel(ActorId("box", "a"), None).slot
    assert len(small.release(slot)) == 3
    assert parked(small, "a")


async def test_what_nobody_waits_for_any_more_is_not_sent() -> None:
    asking = Asking()
    given_up: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    given_up.cancel()
    asking.park(asking.parcel(ActorId("box", "a"), "given up", given_up))
    asking.park(told := asking.parcel(ActorId("box", "a"), "told"))
    assert asking.release(told.slot) == [told]


async def test_a_late_answer_finds_nobody() -> None:
    asking = Asking()
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    parcel = asking.parcel(ActorId("box", "a"), None, answer)
    first = asking.sent(parcel, "n1")
    asking.settle(parcel)
    second = asking.sent(parcel, "n2")
    assert asking.find(first) is None
    assert asking.find(second) is parcel
