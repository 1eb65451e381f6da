"""Whatever is lost, doubled, late or asked for again: the client's messages are contiguous."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.gateway.chat_view import Admission, ChatView
from tests.gateway.stage import CHAT, Stage, passes, simulated

SEQ = st.integers(0, 12)
STEPS = st.one_of(
    st.tuples(st.just("speak"), st.sampled_from(["arrives", "is lost", "comes twice"])),
    st.tuples(st.just("comes again"), SEQ),
    st.tuples(st.just("receipt"), SEQ),
    st.tuples(st.just("status"), st.none()),
    st.tuples(st.just("resume"), SEQ),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.4, 2.0])),
)


class Story:
    """One connection that began when two messages were there."""

    def __init__(self, delay_s: float) -> None:
        self.stage = Stage()
        self.stage.chats.owner_id = None
        self.stage.chats.delay_s = delay_s
        self.resumed_after: list[int] = []
        self.receipts: Counter[int] = Counter()

    async def play(self, steps: list[tuple[str, Any]]) -> None:
        stage, log = self.stage, self.stage.chats.log
        stage.chats.speak()
        stage.chats.speak()
        peer = await stage.connected()
        for step, what in steps:
            if step == "speak":
                frame = stage.chats.speak()
                for _ in range({"arrives": 1, "is lost": 0, "comes twice": 2}[what]):
                    stage.publish(frame)
            elif step == "comes again" and 1 <= what <= len(log):
                stage.publish(stage.chats.speak_again(what))
            elif step == "receipt" and 1 <= what <= len(log):
                self.receipts[what] += 1
                stage.hub.reply(stage.origin(), stage.receipt(what))
            elif step == "status":
                stage.publish(stage.status())
            elif step == "resume":
                point = min(what, len(log))
                self.resumed_after.append(point)
                peer.say("resume", {"chat_id": str(CHAT), "last_seq": point})
            elif step == "wait":
                await passes(what)
        await passes(100)
        stage.publish(stage.status())
        await passes(100)
        self.check(peer.frames)
        assert peer.close_code is None
        await peer.leave()

    def check(self, frames: list[dict[str, Any]]) -> None:
        assert frames[0]["payload"]["last_seq"] == 2
        have: Counter[int] = Counter()
        acked: Counter[int] = Counter()
        for frame in frames:
            if frame["type"] == "chat_status" and frame["payload"].get("resync"):
                self.resumed_after.append(max(0, frame["payload"]["last_seq"] - 50))
        starts = {2, *self.resumed_after}
        for frame in frames[1:]:
            payload = frame["payload"]
            if frame["type"] == "new_message":
                seq = payload["seq"]
                assert seq - 1 in have or seq - 1 in starts, f"{seq} follows nothing"
                have[seq] += 1
                asked = sum(point < seq for point in self.resumed_after)
                assert have[seq] <= 1 + asked, f"{seq} came {have[seq]} times"
            elif frame["type"] == "message_ack":
                seq = payload["seq"]
                assert seq <= 2 or seq in have or seq - 1 in have or seq == 3
                acked[seq] += 1
                have[seq] += 0
            elif frame["type"] == "chat_status":
                missing = set(range(3, payload["last_seq"] + 1)) - set(have)
                assert not missing, f"a status tells of {missing}, which were not sent"
        assert acked == self.receipts
        assert set(have) >= set(range(3, len(self.stage.chats.log) + 1))


@settings(max_examples=500, deadline=None)
@given(st.lists(STEPS, max_size=25), st.sampled_from([0.0, 0.3, 1.0]))
def test_what_a_client_was_sent_is_contiguous_whatever_happens(
    steps: list[tuple[str, Any]], delay_s: float
) -> None:
    simulated(lambda: Story(delay_s).play(steps))


def test_what_is_next_is_sent_and_what_was_sent_is_dropped() -> None:
    view: ChatView[str] = ChatView(4, "first")
    assert view.admit(5, "five") is Admission.SEND
    assert view.admit(5, "five again") is Admission.DROP
    assert view.admit(4, "before the point") is Admission.DROP
    assert view.admit(3, "receipt", is_receipt=True) is Admission.SEND


def test_nothing_overtakes_a_hole() -> None:
    view: ChatView[str] = ChatView(4, "first")
    assert view.admit(7, "seven") is Admission.FILL
    assert view.admit(8, "eight") is Admission.HOLD
    assert view.admit_status(8, "status") is Admission.HOLD
    assert view.hole() == (4, 6)
    assert view.filled(4, 6) == ["seven", "eight", "status"]
    assert view.admit(9, "nine") is Admission.SEND


def test_what_the_filling_brought_along_is_not_sent_again() -> None:
    view: ChatView[str] = ChatView(4, "first")
    view.admit(7, "seven")
    view.admit(6, "six", is_receipt=True)
    assert view.filled(4, 7) == ["six"], "a receipt is owed all the same"


def test_a_second_hole_keeps_what_is_behind_it() -> None:
    view: ChatView[str] = ChatView(0, "first")
    view.admit(2, "two")
    view.admit(5, "five")
    assert view.filled(0, 1) == ["two"]
    assert view.held_count == 1
    assert view.hole() == (2, 4)
    assert view.admit(6, "six") is Admission.HOLD
    assert view.filled(2, 4) == ["five", "six"]


def test_a_status_waits_for_the_messages_it_tells_of() -> None:
    """A resume that is answered first must not let it slip through the hole."""
    view: ChatView[str] = ChatView(5, "first")
    assert view.admit_status(8, "status") is Admission.FILL
    view.hold()
    assert view.filled(*view.behind(5)) == []
    assert view.hole() == (5, 8)
    assert view.filled(5, 8) == ["status"]


@pytest.mark.parametrize(
    ("last_seq", "lacks"), [(0, (0, 4)), (3, (3, 4)), (4, (4, 6)), (5, (5, 6)), (6, (6, 6))]
)
def test_a_client_that_resumes_gets_what_it_lacks(last_seq: int, lacks: tuple[int, int]) -> None:
    view: ChatView[str] = ChatView(4, "first")
    view.admit(5, "five")
    view.admit(6, "six")
    assert view.behind(last_seq) == lacks


def test_a_log_that_lost_messages_is_said_not_hidden() -> None:
    async def story() -> None:
        stage = Stage()
        for _ in range(10):
            stage.chats.speak()
        peer = await stage.connected()
        late = [stage.chats.speak() for _ in range(4)][-1]
        del stage.chats.log[11]  # a restored database
        stage.publish(late)
        await passes(1)
        statuses = [frame["payload"] for frame in peer.heard("chat_status")]
        assert [status.get("resync", False) for status in statuses] == [False, True]
        await peer.leave()

    simulated(story)


def test_more_than_can_be_replayed_is_said_and_the_last_of_it_sent() -> None:
    async def story() -> None:
        stage = Stage()
        for _ in range(400):
            stage.chats.speak()
        peer = await stage.connected()
        stage.chats.owner_id = stage.told[0].viewer.id
        peer.say("resume", {"chat_id": str(CHAT), "last_seq": 10})
        await passes(1)
        assert peer.heard("chat_status")[1]["payload"]["resync"] is True
        assert [m["payload"]["seq"] for m in peer.heard("new_message")] == [*range(351, 401)]
        await peer.leave()

    simulated(story)


def test_live_messages_wait_behind_a_replay() -> None:
    async def story() -> None:
        stage = Stage()
        for _ in range(3):
            stage.chats.speak()
        peer = await stage.connected()
        stage.chats.delay_s = 1.0
        peer.say("resume", {"chat_id": str(CHAT), "last_seq": 1})
        await passes(0.5)
        stage.publish(stage.chats.speak())
        stage.publish(stage.status("ended"))
        await passes(1)
        assert [m["payload"]["seq"] for m in peer.heard("new_message")] == [2, 3, 4]
        assert peer.frames[-1]["type"] == "chat_status"
        await peer.leave()

    simulated(story)


def test_a_replay_that_fails_lets_go_of_what_waited() -> None:
    async def story() -> None:
        stage = Stage()
        stage.chats.speak()
        peer = await stage.connected()
        stage.chats.delay_s, stage.chats.failures = 1.0, 1
        peer.say("resume", {"chat_id": str(CHAT), "last_seq": 0}, id="1")
        await passes(0.5)
        stage.publish(stage.chats.speak())
        error = await peer.hear("error")
        assert (error["payload"]["code"], error["reply_to"]) == ("OVERLOADED", "1")
        assert [m["payload"]["seq"] for m in peer.heard("new_message")] == [2]
        await peer.leave()

    simulated(story)


def test_a_replay_that_fails_before_a_hole_sends_the_client_away() -> None:
    async def story() -> None:
        stage = Stage()
        stage.chats.speak()
        peer = await stage.connected()
        stage.chats.delay_s, stage.chats.failures = 1.0, 1
        peer.say("resume", {"chat_id": str(CHAT), "last_seq": 0}, id="1")
        await passes(0.5)
        stage.chats.speak()
        stage.publish(stage.chats.speak())
        await peer.task
        assert peer.close_code == 1013

    simulated(story)


@pytest.mark.parametrize("status", ["active", "ended"], ids=["followed", "no longer followed"])
@pytest.mark.parametrize("last_seq", [1, 3])
def test_a_resume_is_answered_by_a_status_that_says_how_far_its_messages_go(
    status: Any, last_seq: int
) -> None:
    async def story() -> None:
        stage = Stage()
        for _ in range(3):
            stage.chats.speak()
        peer = await stage.connected()
        stage.chats.owner_id = stage.told[0].viewer.id
        stage.publish(stage.status(status))
        await passes(0.1)
        before = len(peer.frames)
        peer.say("resume", {"chat_id": str(CHAT), "last_seq": last_seq}, id="r")
        peer.say("ping")
        await peer.hear("pong")
        answer, *messages, pong = peer.frames[before:]
        assert (answer["type"], answer["reply_to"]) == ("chat_status", "r")
        assert answer["payload"]["last_seq"] == 3
        assert not {"guest_token", "resync"} & answer["payload"].keys()
        assert [m["payload"]["seq"] for m in messages] == [*range(last_seq + 1, 4)]
        assert pong["type"] == "pong"
        await peer.leave()

    simulated(story)


def test_a_chat_of_somebody_else_is_not_found() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        other = "00000000-0000-0000-0000-000000000009"
        peer.raw(json.dumps({"type": "resume", "payload": {"chat_id": other, "last_seq": 0}}))
        error = await peer.hear("error")
        assert error["payload"]["code"] == "CHAT_NOT_FOUND"
        await peer.leave()

    simulated(story)


def test_behind_a_status_that_ends_the_following_nothing_in_between_is_theirs() -> None:
    view = ChatView(5, "active")
    assert view.admit_status(6, "bot") is Admission.FILL
    assert view.admit_status_after_leaving(9, "ended", is_return=False) is Admission.HOLD
    assert view.filled(5, 6) == ["bot", "ended"]
    assert (view.head, view.held_count) == (6, 0)


def test_a_view_knows_how_far_the_chat_is_by_what_it_holds_back() -> None:
    view = ChatView(5, "active")
    assert view.known == 5
    view.admit(8, "eight")
    assert view.known == 8
    view.admit_status(9, "active")
    assert (view.known, view.head) == (9, 5)


def test_who_follows_again_begins_where_the_new_status_says() -> None:
    view = ChatView(5, "active")
    view.admit_status(6, "bot")
    view.admit_status_after_leaving(9, "active", is_return=True)
    assert view.admit(10, "ten") is Admission.HOLD
    assert view.filled(5, 6) == ["bot", "active", "ten"]
    assert (view.floor, view.head) == (9, 10)
