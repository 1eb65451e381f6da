"""What is said of a chat before it left or ended, by another instance, and comes behind that."""

import pytest
from msgspec.structs import replace

from kefu.gateway.customer_role import CustomerRole
from protocol.server import ChatStatus
from tests.fakes.asgi_peer import AsgiPeer
from tests.gateway.stage import CHAT, Stage, passes, simulated


async def passed_on(stage: Stage) -> tuple[AsgiPeer, ChatStatus]:
    """A client whose chat is spoken in and leaves it while older messages are being sent, and how
    the chat stood before that."""
    for _ in range(3):
        stage.chats.speak()
    peer = await stage.connected()
    early = stage.status()
    stage.chats.delay_s = 1.0
    peer.say("resume", {"chat_id": str(CHAT), "last_seq": 1})
    await passes(0.5)
    stage.publish(stage.chats.speak())
    stage.publish(stage.status("waiting"))
    return peer, early


def test_what_was_said_before_a_chat_left_and_comes_late_brings_it_not_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another instance said it, and a link between the two was slow."""
    monkeypatch.setattr(CustomerRole, "follows", lambda _role, state: state.status == "active")

    async def story() -> None:
        stage = Stage()
        peer, early = await passed_on(stage)
        stage.publish(early)
        await passes(2)
        said = [frame["payload"] for frame in peer.heard("chat_status")]
        assert (said[-1]["status"], said[-1]["last_seq"]) == ("waiting", 4)
        stage.publish(stage.chats.speak())
        await passes(2)
        assert [m["payload"]["seq"] for m in peer.heard("new_message")] == [2, 3, 4]
        await peer.leave()

    simulated(story)


def test_what_was_said_before_a_chat_ended_and_comes_long_after_is_not_shown() -> None:
    """The instance that said it stood still for a while, and had lost the chat meanwhile."""

    async def story() -> None:
        stage = Stage()
        early = stage.status()
        for _ in range(3):
            stage.chats.speak()
        peer = await stage.connected()
        stage.publish(stage.status("ended"))
        await passes(1)
        stage.publish(early)
        await passes(1)
        said = [frame["payload"] for frame in peer.heard("chat_status")]
        assert (said[-1]["status"], said[-1]["last_seq"]) == ("ended", 3)
        await peer.leave()

    simulated(story)


def test_who_asked_before_a_chat_ended_and_is_answered_long_after_hears_of_the_end() -> None:
    async def story() -> None:
        stage = Stage()
        early = stage.status()
        for _ in range(3):
            stage.chats.speak()
        peer = await stage.connected()
        stage.publish(stage.status("ended"))
        await passes(1)
        stage.publish(replace(early, reply_to="7"))
        await passes(1)
        answer = peer.heard("chat_status")[-1]
        assert answer["reply_to"] == "7"
        assert (answer["payload"]["status"], answer["payload"]["last_seq"]) == ("ended", 3)
        await peer.leave()

    simulated(story)


def test_a_late_answer_that_brings_a_chat_back_goes_on_behind_what_the_client_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An agent asked, the answer was slow, and meanwhile the chat was spoken in and passed on."""
    monkeypatch.setattr(CustomerRole, "follows", lambda _role, state: state.status == "active")

    async def story() -> None:
        stage = Stage()
        peer, early = await passed_on(stage)
        stage.publish(replace(early, reply_to="7"))
        stage.publish(stage.chats.speak())
        await passes(2)
        told = [
            (f["type"], f["payload"].get("seq"), f["payload"].get("last_seq")) for f in peer.frames
        ]
        assert told[-4:] == [
            ("new_message", 4, None),
            ("chat_status", None, 4),
            ("chat_status", None, 4),
            ("new_message", 5, None),
        ]
        await peer.leave()

    simulated(story)
