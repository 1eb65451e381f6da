"""Who hears what: by topic, each once, but for the one who is to be left out."""

from datetime import UTC, datetime

from kefu.delivery import Origin
from kefu.gateway.hub import Hub
from kefu.gateway.outbox import Outgoing
from protocol.server import Pong
from tests.gateway.stage import is_empty

FRAME = Pong(datetime(2026, 11, 21, tzinfo=UTC))


class Ear:
    def __init__(self, id: str, *topics: str) -> None:
        self.id = id
        self.topics = topics
        self.heard: list[Outgoing] = []

    def deliver(self, outgoing: Outgoing) -> None:
        self.heard.append(outgoing)


def hub_of(*ears: Ear) -> Hub:
    hub = Hub()
    for ear in ears:
        hub.add(ear)
    return hub


def test_a_topic_reaches_whoever_listens_to_it() -> None:
    one, two, other = Ear("1", "a"), Ear("2", "a", "b"), Ear("3", "c")
    hub_of(one, two, other).publish(("a",), FRAME)
    assert [len(ear.heard) for ear in (one, two, other)] == [1, 1, 0]


def test_who_listens_to_two_of_the_topics_hears_it_once() -> None:
    both = Ear("1", "a", "b")
    hub_of(both).publish(("a", "b", "c"), FRAME)
    assert len(both.heard) == 1


def test_the_one_it_came_from_is_left_out() -> None:
    one, two = Ear("1", "a"), Ear("2", "a")
    hub_of(one, two).publish(("a",), FRAME, skip=Origin("1"))
    assert (len(one.heard), len(two.heard)) == (0, 1)


def test_a_frame_to_many_is_encoded_once() -> None:
    ears = [Ear(str(n), "a") for n in range(3)]
    hub_of(*ears).publish(("a",), FRAME)
    assert len({id(ear.heard[0].json()) for ear in ears}) == 1


def test_an_answer_goes_to_its_connection_alone() -> None:
    one, two = Ear("1", "a"), Ear("2", "a")
    hub = hub_of(one, two)
    hub.reply(Origin("2"), FRAME)
    hub.reply(Origin("gone"), FRAME)
    assert (len(one.heard), len(two.heard)) == (0, 1)


def test_whoever_leaves_leaves_nothing_behind() -> None:
    one, two = Ear("1", "a", "b"), Ear("2", "a")
    hub = hub_of(one, two)
    hub.remove(one)
    hub.publish(("a", "b"), FRAME)
    assert one.heard == []
    assert (hub.count("a"), hub.count("b"), len(hub)) == (1, 0, 1)
    hub.remove(one)
    hub.remove(two)
    assert is_empty(hub)


def test_who_leaves_while_a_frame_goes_round_stops_nobody() -> None:
    two = Ear("2", "a")

    class Leaver(Ear):
        def deliver(self, outgoing: Outgoing) -> None:
            hub.remove(self)
            hub.remove(two)

    hub = hub_of(Leaver("1", "a"), two, Ear("3", "a"))
    hub.publish(("a",), FRAME)
    assert len(hub) == 1


def test_who_listens_to_one_topic_more_hears_it_until_they_stop() -> None:
    ear, hub = Ear("1", "a"), Hub()
    hub.add(ear)
    hub.listen(ear, "chat")
    hub.publish(("chat",), FRAME)
    hub.publish(("a", "chat"), FRAME)
    hub.publish(("chat",), FRAME, skip=Origin("1"))
    assert (len(ear.heard), hub.count("chat")) == (2, 1)
    hub.unlisten(ear, "chat")
    hub.unlisten(ear, "chat")
    hub.publish(("chat",), FRAME)
    assert (len(ear.heard), hub.count("chat"), hub.count("a")) == (2, 0, 1)


def test_whoever_leaves_leaves_the_topics_too_that_were_added() -> None:
    one, two = Ear("1", "a"), Ear("2", "b")
    hub = hub_of(one, two)
    for ear in (one, two):
        hub.listen(ear, "chat")
        hub.listen(ear, "other")
    hub.remove(one)
    hub.publish(("chat",), FRAME)
    assert (len(one.heard), len(two.heard)) == (0, 1)
    hub.unlisten(two, "other")
    hub.remove(two)
    assert is_empty(hub)


def test_who_has_gone_listens_to_nothing_more() -> None:
    ear = Ear("1", "a")
    hub = hub_of(ear)
    hub.remove(ear)
    hub.listen(ear, "chat")
    assert is_empty(hub)


def test_an_own_topic_is_neither_added_nor_taken_away() -> None:
    ear = Ear("1", "a")
    hub = hub_of(ear)
    hub.listen(ear, "a")
    hub.unlisten(ear, "a")
    hub.publish(("a",), FRAME)
    assert len(ear.heard) == 1
