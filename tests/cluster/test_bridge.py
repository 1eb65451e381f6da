"""One audience on two or three instances: a frame goes exactly where somebody listens."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from kefu.cluster import bridge as limits
from kefu.cluster.bridge import Bridge
from kefu.cluster.envelopes import Close, Envelope, Interest, Publish, Reply
from kefu.delivery import Origin
from protocol.codes import CloseCode
from protocol.server import AgentPresence, AgentStatus, PresenceChange


def frame(note: str = "在吗") -> AgentStatus:
    agent = AgentPresence(UUID(int=1), "Ann", "online", 0, 5, note)
    return AgentStatus(PresenceChange("feed", 1, agent), datetime(2026, 11, 21, 9, tzinfo=UTC))


class Ears:
    """The people of one instance: topics somebody listens to, and what came for whom."""

    def __init__(self) -> None:
        self.on: dict[str, None] = {}
        self.published: list[tuple[tuple[str, ...], object, Origin | None]] = []
        self.replied: list[tuple[Origin, object]] = []
        self.closed: list[tuple[str, CloseCode]] = []

    def publish(self, topics: tuple[str, ...], frame: Any, *, skip: Origin | None = None) -> None:
        self.published.append((topics, frame, skip))

    def reply(self, origin: Origin, frame: Any) -> None:
        self.replied.append((origin, frame))

    def close(self, topic: str, code: CloseCode) -> None:
        self.closed.append((topic, code))

    def topics(self) -> tuple[str, ...]:
        return tuple(self.on)


class House:
    """An instance: its people, its bridge, and what it has sent and not yet handed over."""

    def __init__(self, name: str, town: "dict[str, House]") -> None:
        self.name = name
        self.ears = Ears()
        self.sent: list[tuple[str, Envelope]] = []
        self.bridge = Bridge(name, self.ears, self)  # type: ignore[arg-type]
        self._town = town

    def send(self, peer: str, envelope: Envelope) -> bool:
        self.sent.append((peer, envelope))
        return True

    def listen(self, topic: str) -> None:
        self.ears.on[topic] = None
        self.bridge.listening(topic, is_on=True)

    def leave(self, topic: str) -> None:
        del self.ears.on[topic]
        self.bridge.listening(topic, is_on=False)

    def hand_over(self) -> list[tuple[str, type]]:
        """Bring what was sent to where it goes; what that was."""
        sent, self.sent = self.sent, []
        for peer, envelope in sent:
            assert isinstance(envelope, Publish | Reply | Close | Interest)
            self._town[peer].bridge.take(self.name, envelope)
        return [(peer, type(envelope)) for peer, envelope in sent]


@pytest.fixture
def town() -> dict[str, House]:
    houses: dict[str, House] = {}
    for name in "abc":
        houses[name] = House(name, houses)
    for one in houses.values():
        for other in houses.keys() - {one.name}:
            one.bridge.meet(other)
    for one in houses.values():
        one.hand_over()
    return houses


def spread(town: dict[str, House]) -> None:
    for house in town.values():
        house.hand_over()


def test_a_frame_goes_to_ones_own_people_and_where_somebody_listens(
    town: dict[str, House],
) -> None:
    town["b"].listen("chat:1")
    spread(town)
    town["a"].bridge.publish(("chat:1", "chat:2"), frame())
    assert town["a"].hand_over() == [("b", Publish)]
    assert town["a"].ears.published == [(("chat:1", "chat:2"), frame(), None)]
    assert town["b"].ears.published == [(("chat:1", "chat:2"), frame(), None)]
    assert town["c"].ears.published == []


def test_a_frame_on_two_topics_of_one_instance_goes_there_once(town: dict[str, House]) -> None:
    town["b"].listen("chat:1")
    town["b"].listen("chat:2")
    spread(town)
    town["a"].bridge.publish(("chat:1", "chat:2"), frame())
    assert town["a"].hand_over() == [("b", Publish)]


def test_nothing_goes_where_the_last_listener_has_left(town: dict[str, House]) -> None:
    town["b"].listen("chat:1")
    spread(town)
    assert town["a"].bridge.is_heard("chat:1")
    assert set(town["a"].bridge.topics()) == {"chat:1"}
    town["b"].leave("chat:1")
    spread(town)
    town["a"].bridge.publish(("chat:1",), frame())
    assert town["a"].hand_over() == []
    assert not town["a"].bridge.is_heard("chat:1")


def test_others_still_hear_when_one_instance_has_left(town: dict[str, House]) -> None:
    for name in "bc":
        town[name].listen("chat:1")
    spread(town)
    town["b"].leave("chat:1")
    spread(town)
    town["a"].bridge.publish(("chat:1",), frame())
    assert town["a"].hand_over() == [("c", Publish)]


def test_whoever_is_skipped_here_is_skipped_there(town: dict[str, House]) -> None:
    town["b"].listen("chat:1")
    spread(town)
    town["a"].bridge.publish(("chat:1",), frame(), skip=Origin("b/7", "f1"))
    town["a"].hand_over()
    ((_, _, skip),) = town["b"].ears.published
    assert skip is not None
    assert skip.connection_id == "b/7"


def test_a_reply_goes_to_the_instance_of_the_connection(town: dict[str, House]) -> None:
    town["a"].bridge.reply(Origin("b/7", "f1"), frame())
    assert town["a"].hand_over() == [("b", Reply)]
    ((origin, said),) = town["b"].ears.replied
    assert (origin.connection_id, said) == ("b/7", frame())
    assert town["a"].ears.replied == town["c"].ears.replied == []


def test_a_reply_to_ones_own_connection_does_not_travel(town: dict[str, House]) -> None:
    town["a"].bridge.reply(Origin("a/7", "f1"), frame())
    assert town["a"].ears.replied == [(Origin("a/7", "f1"), frame())]
    assert town["a"].hand_over() == []


def test_who_was_thought_to_be_gone_is_answered_all_the_same(town: dict[str, House]) -> None:
    """It slept, was forgotten, and asks before it is a member again; the link sees the rest."""
    town["a"].bridge.part("b")
    town["a"].bridge.reply(Origin("b/7"), frame())
    assert town["a"].hand_over() == [("b", Reply)]


def test_closing_a_topic_closes_it_everywhere_somebody_listens(town: dict[str, House]) -> None:
    town["b"].listen("session:1")
    spread(town)
    town["a"].bridge.close("session:1", CloseCode.SIGNED_OUT)
    assert town["a"].hand_over() == [("b", Close)]
    expected = [("session:1", CloseCode.SIGNED_OUT)]
    assert town["a"].ears.closed == town["b"].ears.closed == expected


def test_meeting_again_tells_everything_and_corrects_what_was_missed(
    town: dict[str, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TOPICS_PER_ENVELOPE", 3)
    town["b"].listen("old")
    spread(town)
    town["b"].leave("old")
    for number in range(8):
        town["b"].listen(f"chat:{number}")
    town["b"].sent.clear()  # the link broke, and all of it was lost
    town["b"].bridge.meet("a")
    assert town["b"].hand_over() == [("a", Interest)] * 3
    assert set(town["a"].bridge.topics()) == {f"chat:{number}" for number in range(8)}


def test_meeting_again_with_no_listener_forgets_all(town: dict[str, House]) -> None:
    town["b"].listen("old")
    spread(town)
    del town["b"].ears.on["old"]
    town["b"].bridge.meet("a")
    town["b"].hand_over()
    assert set(town["a"].bridge.topics()) == set()


def test_an_instance_that_is_gone_listens_to_nothing(town: dict[str, House]) -> None:
    town["b"].listen("chat:1")
    spread(town)
    town["a"].bridge.part("b")
    town["a"].bridge.publish(("chat:1",), frame())
    town["a"].bridge.listening("chat:2", is_on=True)
    assert town["a"].hand_over() == [("c", Interest)]


@pytest.mark.parametrize(
    "make",
    [
        lambda data: Publish(("chat:1",), data),
        lambda data: Reply("b/7", data),
        lambda data: Close("chat:1", 4999),
    ],
    ids=["published", "reply", "close"],
)
@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81\xa4type\xa6secret"])
def test_what_cannot_be_read_is_dropped_and_its_words_are_not_logged(
    town: dict[str, House],
    make: Callable[[bytes], Publish | Reply | Close],
    data: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        town["b"].bridge.take("a", make(data))
    assert town["b"].ears.published == []
    assert town["b"].ears.replied == []
    assert town["b"].ears.closed == []
    assert [record.getMessage() for record in caplog.records] == ["frame_unreadable"]
    assert "secret" not in str(vars(caplog.records[0]))
