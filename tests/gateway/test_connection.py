"""One connection against a client without a network, its actors played by the test."""

from typing import Any

import pytest
from msgspec.structs import replace

from kefu.conversations import messages as conversations
from kefu.gateway.customer_role import CustomerRole
from kefu.gateway.limits import INBOX_FRAMES, OUTBOX_FRAMES, SEND_WITHIN_S
from kefu.gateway.sockets import Socket
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from protocol.server import Pong, Read, ReadPoint, SomeoneTyping, TypingShown
from tests.fakes.asgi_peer import AsgiPeer
from tests.gateway.office import Office
from tests.gateway.stage import CHAT, NOW, Stage, passes, simulated


def kinds(messages: list[Any]) -> list[str]:
    return [type(message).__name__ for message in messages]


# --- order ----------------------------------------------------------------------------------------


def test_frames_take_effect_in_order_while_slow_work_is_going_on() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        stage.told.clear()
        stage.gate.clear()
        peer.say("request_human")
        peer.say("send_message", {"content": "一"})
        peer.say("mark_read", {"seq": 1})
        peer.say("end_chat")
        peer.say("send_message", {"content": "二"})
        peer.say("ping", id="last")
        await passes(1)
        assert kinds(stage.told) == ["CallHuman"]
        assert peer.unread == 0, "the reader does not wait"
        stage.gate.set()
        await peer.hear("pong")
        said = ["CallHuman", "SendMessage", "MarkRead", "EndChat", "SendMessage"]
        assert kinds(stage.told) == said
        await peer.leave()

    simulated(story)


def test_nothing_is_looked_at_before_the_greeting() -> None:
    async def story() -> None:
        stage = Stage()
        stage.gate.clear()
        peer = stage.connect()
        peer.say("send_message", {"content": "一"})
        await passes(1)
        assert kinds(stage.told) == ["Describe"]
        stage.gate.set()
        await passes(1)
        assert kinds(stage.told) == ["Describe", "SendMessage"]
        assert peer.frames[0]["type"] == "chat_status"
        await peer.leave()

    simulated(story)


def test_more_frames_than_may_wait_are_refused_each_under_its_own_id() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        stage.gate.clear()
        peer.say("end_chat")
        for number in range(INBOX_FRAMES + 3):
            peer.say("ping", id=str(number))
        await passes(1)
        errors = peer.heard("error")
        assert {error["payload"]["code"] for error in errors} == {"OVERLOADED"}
        assert [e["reply_to"] for e in errors] == [str(INBOX_FRAMES + n) for n in range(3)]
        assert all(error["payload"]["retry_after_s"] > 0 for error in errors)
        stage.gate.set()
        await passes(1)
        assert [p["reply_to"] for p in peer.heard("pong")] == [str(n) for n in range(INBOX_FRAMES)]
        await peer.leave()

    simulated(story)


def test_a_gap_is_filled_from_the_store_before_anything_later() -> None:
    async def story() -> None:
        stage = Stage()
        stage.chats.delay_s = 1.0
        peer = await stage.connected()
        frames = [stage.chats.speak() for _ in range(5)]
        stage.publish(frames[0])
        stage.publish(frames[3])
        stage.publish(frames[4])
        stage.publish(stage.status("ended"))
        await passes(3)
        assert [m["payload"]["seq"] for m in peer.heard("new_message")] == [1, 2, 3, 4, 5]
        assert peer.frames[-1]["payload"]["status"] == "ended"
        assert stage.chats.reads == [(1, 3)]
        await peer.leave()

    simulated(story)


def test_a_gap_that_cannot_be_filled_sends_the_client_away_to_come_back() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        stage.chats.failures = 1
        stage.chats.speak()
        stage.publish(stage.chats.speak())
        await peer.task
        assert peer.heard("new_message") == []
        assert peer.close_code == 1013

    simulated(story)


# --- failure --------------------------------------------------------------------------------------


def fail_with(error: BaseException, stage: Stage) -> None:
    def answer(message: Any) -> Any:
        raise error

    stage.answer = answer


def test_a_bug_in_slow_work_is_said_and_the_connection_stays() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        fail_with(RuntimeError("a bug"), stage)
        peer.say("end_chat", id="1")
        error = await peer.hear("error")
        assert (error["payload"]["code"], error["reply_to"]) == ("INTERNAL", "1")
        peer.say("ping")
        await peer.hear("pong")
        await peer.leave()

    simulated(story)


@pytest.mark.parametrize("is_busy", [False, True], ids=["at once", "behind slow work"])
def test_a_bug_in_a_role_is_said_and_the_connection_stays(
    monkeypatch: pytest.MonkeyPatch, is_busy: bool
) -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        if is_busy:
            stage.gate.clear()
            peer.say("end_chat")
        with monkeypatch.context() as patched:
            patched.setattr(CustomerRole, "_message", lambda *_: 1 / 0)
            peer.say("send_message", {"content": "一"}, id="1")
            peer.say("ping")
            await passes(0.5)
            stage.gate.set()
            await peer.hear("pong")
        (error,) = peer.heard("error")
        assert (error["payload"]["code"], error["reply_to"]) == ("INTERNAL", "1")
        await peer.leave()

    simulated(story)


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), RuntimeError("a bug")], ids=repr)
def test_who_cannot_be_greeted_is_told_to_come_back(error: Exception) -> None:
    async def story() -> None:
        stage = Stage()
        fail_with(error, stage)
        peer = stage.connect()
        peer.say("ping")
        await peer.task
        assert peer.close_code == 1013
        assert len(stage.hub) == 0

    simulated(story)


def test_a_conversation_that_cannot_be_read_is_no_empty_one() -> None:
    async def story() -> None:
        stage = Stage()
        refusal = conversations.Refusal(ErrorCode.OVERLOADED)
        stage.answer = lambda message: refusal
        peer = stage.connect()
        await peer.task
        assert peer.close_code == 1013

    simulated(story)


def test_an_agent_who_cannot_be_shown_the_queue_is_told_to_come_back() -> None:
    async def story() -> None:
        office = Office()
        office.is_full = True
        peer = await office.at_work("agent")
        await peer.task
        assert peer.close_code == 1013

    simulated(story)


def test_a_full_mailbox_is_said_under_the_frames_id() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        stage.is_full = True
        peer.say("send_message", {"content": "一"}, id="1")
        error = await peer.hear("error")
        assert (error["payload"]["code"], error["reply_to"]) == ("OVERLOADED", "1")
        await peer.leave()

    simulated(story)


# --- the slow, the expired, the gone --------------------------------------------------------------


def test_a_slow_consumer_is_let_go_with_4008_and_costs_no_more_memory() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        peer.is_reading = False
        for _ in range(10 * OUTBOX_FRAMES):
            stage.publish(Pong(NOW))
        (listener,) = stage.hub
        outbox = vars(listener)["_outbox"]
        assert len(vars(outbox)["_queue"]) <= OUTBOX_FRAMES
        await passes(1)
        assert len(stage.hub) == 0
        peer.is_reading = True
        await peer.task
        assert peer.close_code == 4008
        assert len(peer.heard("pong")) <= OUTBOX_FRAMES

    simulated(story)


def test_a_client_that_takes_nothing_for_too_long_is_let_go() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        peer.is_reading = False
        stage.publish(Pong(NOW))
        await passes(SEND_WITHIN_S - 0.1)
        assert len(stage.hub) == 1
        await passes(0.2)
        assert len(stage.hub) == 0
        await peer.task  # the farewell is not waited for either

    simulated(story)


def test_a_replay_to_a_client_that_reads_nothing_ends_as_well() -> None:
    async def story() -> None:
        stage = Stage()
        for _ in range(290):
            stage.chats.speak()
        peer = await stage.connected()
        stage.chats.owner_id = stage.told[0].viewer.id
        peer.is_reading = False
        peer.say("resume", {"chat_id": str(CHAT), "last_seq": 0})
        await passes(SEND_WITHIN_S + 1)
        assert len(stage.hub) == 0
        peer.is_reading = True
        await peer.task
        assert peer.close_code == 4008

    simulated(story)


def test_a_token_that_expires_closes_its_connection() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected(stage.tokens.customer("c-1", ttl_s=600))
        await passes(599)
        assert peer.close_code is None
        await passes(2)
        assert peer.close_code == 4501
        await peer.task

    simulated(story)


def test_what_a_client_says_after_it_was_let_go_has_no_effect() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        peer.is_reading = False
        for _ in range(100):
            peer.raw("nonsense")
        peer.say("send_message", {"content": "late"})
        await passes(1)
        peer.is_reading = True
        await peer.task
        assert peer.close_code == 4504
        assert "SendMessage" not in kinds(stage.told)

    simulated(story)


def test_who_sends_too_fast_is_told_when_to_go_on() -> None:
    async def story() -> None:
        stage = Stage()
        slow = conversations_of(stage, frame_rate=10.0, frame_burst=5.0)
        peer = AsgiPeer(slow)
        await peer.hear("chat_status")
        for number in range(6):
            peer.say("ping", id=str(number))
        error = await peer.hear("error")
        assert (error["payload"]["code"], error["reply_to"]) == ("RATE_LIMITED", "5")
        await passes(error["payload"]["retry_after_s"])
        peer.say("ping", id="after")
        pong = await peer.hear("pong", 6)
        assert pong["reply_to"] == "after"
        await peer.leave()

    simulated(story)


def test_a_wrong_frame_too_many_is_refused_under_its_id_as_well() -> None:
    async def story() -> None:
        stage = Stage()
        peer = AsgiPeer(conversations_of(stage, frame_rate=1.0, frame_burst=1.0))
        await peer.hear("chat_status")
        peer.say("ping", id="1")
        peer.say("launch", id="2")
        peer.raw("nonsense")
        await peer.hear("error", 2)
        errors = peer.heard("error")
        assert [error["payload"]["code"] for error in errors] == ["RATE_LIMITED"] * 2
        assert [error.get("reply_to") for error in errors] == ["2", None]
        await peer.leave()

    simulated(story)


def test_a_client_that_falls_behind_is_spared_what_passes_and_nothing_else() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        peer.is_reading = False
        typing = TypingShown(SomeoneTyping(CHAT, True, "agent"), NOW)
        seen = Read(ReadPoint(CHAT, 1, "agent"), NOW)
        for _ in range(OUTBOX_FRAMES):
            stage.publish(typing)
            stage.publish(seen)
        for _ in range(OUTBOX_FRAMES // 2 - 10):
            stage.publish(stage.chats.speak())
        await passes(1)
        assert len(stage.hub) == 1, "what passes alone closes nobody"
        peer.is_reading = True
        await passes(1)
        passing = len(peer.heard("typing")) + len(peer.heard("read"))
        assert OUTBOX_FRAMES // 2 <= passing <= OUTBOX_FRAMES // 2 + 1
        assert stage.gauge("kefu_frames_shed_total") == 2 * OUTBOX_FRAMES - passing
        assert [m["payload"]["seq"] for m in peer.heard("new_message")] == [
            *range(1, OUTBOX_FRAMES // 2 - 9)
        ]
        stage.publish(typing)
        await passes(1)
        assert peer.frames[-1]["type"] == "typing", "afterwards it hears everything again"
        await peer.leave()

    simulated(story)


def conversations_of(stage: Stage, **changes: float) -> Socket:
    return Socket(replace(stage.backstage, **changes), stage.door())
