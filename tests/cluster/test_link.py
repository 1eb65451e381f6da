"""One direction of a talk over a channel that loses, doubles and mixes up what it is given."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kefu.cluster.link import (
    BROKEN_AFTER_S,
    HELD_BYTES,
    HELD_FRAMES,
    RESEND_AFTER_S,
    Arrival,
    Numbered,
    Receiver,
    Sender,
)


class Talk(RuleBasedStateMachine):
    """`forth` and `back` are the frames under way; which of them arrives next, if any, is chance.

    Every body names its life, so that it is known afterwards what belonged to which.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.sender: Sender[tuple[int, int]] = Sender(0)
        self.receiver = Receiver()
        self.forth: list[Numbered[tuple[int, int]]] = []
        self.back: list[tuple[int, int, bool]] = []
        self.added: dict[int, list[tuple[int, int]]] = {0: []}
        self.taken: list[tuple[int, int]] = []
        self.gaps: list[int] = []

    # --- the two ends -----------------------------------------------------------------------------

    @rule()
    def say(self) -> None:
        bodies = self.added[self.sender.life]
        body = (self.sender.life, len(bodies))
        bodies.append(body)
        self.forth.append(self.sender.add(body, 10, self.now))

    @rule(seconds=st.sampled_from((0.01, 0.1, RESEND_AFTER_S, 1.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.sender.is_broken(self.now):
            self.begin_anew()
        else:
            self.forth += self.sender.due(self.now)

    @rule()
    def begin_anew(self) -> None:
        held = self.sender.reset()
        assert held == self.added[self.sender.life - 1][-len(held) :] or not held
        self.added[self.sender.life] = []

    def _arrive(self, frame: Numbered[tuple[int, int]]) -> None:
        arrival = self.receiver.arrive(frame.life, frame.number)
        if arrival is Arrival.EARLY:
            known = self.receiver.number if self.receiver.life == frame.life else 0
            self.back.append((frame.life, known, True))
            return
        if arrival is not Arrival.AGAIN:
            if arrival is Arrival.TAKE_AFTER_GAP:
                self.gaps.append(frame.life)
            self.taken.append(frame.body)
        life = self.receiver.life
        assert life is not None
        self.back.append((life, self.receiver.number, False))

    def _come_back(self, life: int, number: int, is_missing: bool) -> None:
        if is_missing:
            self.forth += self.sender.missing(life, number, self.now)
        else:
            self.sender.confirm(life, number, self.now)

    # --- the channel ------------------------------------------------------------------------------

    @precondition(lambda self: self.forth)
    @rule(data=st.data(), stays=st.booleans(), is_lost=st.booleans())
    def carry_forth(self, data: Any, stays: bool, is_lost: bool) -> None:
        frame = self._pick(data, self.forth, stays)
        if not is_lost:
            self._arrive(frame)

    @precondition(lambda self: self.back)
    @rule(data=st.data(), stays=st.booleans(), is_lost=st.booleans())
    def carry_back(self, data: Any, stays: bool, is_lost: bool) -> None:
        frame = self._pick(data, self.back, stays)
        if not is_lost:
            self._come_back(*frame)

    @staticmethod
    def _pick(data: Any, frames: list[Any], stays: bool) -> Any:
        at = data.draw(st.integers(0, len(frames) - 1))
        return frames[at] if stays else frames.pop(at)

    # --- what holds -------------------------------------------------------------------------------

    @invariant()
    def what_is_taken_of_one_life_is_how_it_began(self) -> None:
        for life, bodies in self.added.items():
            taken = [body for body in self.taken if body[0] == life]
            assert taken == bodies[: len(taken)]
        assert self.taken == sorted(self.taken), "an older life after a newer one"

    @invariant()
    def a_gap_is_told_whenever_the_life_changes(self) -> None:
        lives = sorted({life for life, _ in self.taken})
        assert self.gaps == [life for life in lives if life > 0]

    def teardown(self) -> None:
        """Fair weather: everything of this life arrives, and nothing is held any more."""
        self.forth.clear()
        self.back.clear()
        for _ in range(10):
            self.now += RESEND_AFTER_S
            if self.sender.is_broken(self.now):  # it was silent for too long before this
                self.begin_anew()
            for frame in self.sender.due(self.now):
                self._arrive(frame)
            while self.back or self.forth:
                while self.back:
                    self._come_back(*self.back.pop(0))
                while self.forth:
                    self._arrive(self.forth.pop(0))
        assert self.sender.is_quiet
        assert [b for b in self.taken if b[0] == self.sender.life] == self.added[self.sender.life]


TestTalk = Talk.TestCase
TestTalk.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)


def test_what_nobody_confirms_breaks_the_link() -> None:
    sender: Sender[str] = Sender(0)
    sender.add("a", 1, 0.0)
    assert not sender.is_broken(BROKEN_AFTER_S)
    assert sender.is_broken(BROKEN_AFTER_S + 0.1)
    assert sender.reset() == ["a"]
    assert not sender.is_broken(100.0)
    assert sender.add("b", 1, 100.0)[:2] == (1, 1)


def test_a_quiet_link_does_not_break() -> None:
    sender: Sender[str] = Sender(0)
    sender.add("a", 1, 0.0)
    sender.confirm(0, 1, 1.0)
    assert sender.is_quiet
    sender.add("b", 1, 1000.0)
    assert not sender.is_broken(1000.0 + BROKEN_AFTER_S)


def test_it_holds_so_many_frames_and_no_more() -> None:
    sender: Sender[int] = Sender(0)
    for number in range(HELD_FRAMES):
        assert not sender.is_broken(0.0)
        sender.add(number, 1, 0.0)
    assert sender.is_broken(0.0)
    assert len(sender.reset()) == HELD_FRAMES


def test_it_holds_so_many_bytes_and_no_more() -> None:
    sender: Sender[str] = Sender(0)
    sender.add("a", HELD_BYTES - 1, 0.0)
    assert not sender.is_broken(0.0)
    sender.add("b", 1, 0.0)
    assert sender.is_broken(0.0)
    sender.confirm(0, 1, 0.0)
    assert not sender.is_broken(0.0)


def test_nothing_is_sent_again_before_it_is_due() -> None:
    sender: Sender[str] = Sender(0)
    sender.add("a", 1, 0.0)
    assert sender.due(RESEND_AFTER_S / 2) == []
    assert [one.body for one in sender.due(RESEND_AFTER_S)] == ["a"]
    assert sender.due(RESEND_AFTER_S * 1.5) == []


def test_confirmations_of_an_earlier_life_count_for_nothing() -> None:
    sender: Sender[str] = Sender(0)
    sender.add("a", 1, 0.0)
    sender.reset()
    sender.add("b", 1, 0.0)
    sender.confirm(0, 1, 0.0)
    assert sender.missing(0, 0, 0.0) == []
    assert not sender.is_quiet


def test_a_receiver_that_has_forgotten_all_breaks_the_link_and_hears_of_the_gap() -> None:
    """Else it would ask for the first frame for ever, and the sender has not got it."""
    sender: Sender[str] = Sender(0)
    sender.add("a", 1, 0.0)
    sender.confirm(0, 1, 0.0)
    second = sender.add("b", 1, 0.0)
    fresh = Receiver()
    assert fresh.arrive(second.life, second.number) is Arrival.EARLY
    assert sender.missing(0, 0, 0.0) == []
    assert sender.is_broken(0.0)
    assert sender.reset() == ["b"]
    third = sender.add("c", 1, 0.0)
    assert fresh.arrive(third.life, third.number) is Arrival.TAKE_AFTER_GAP
