"""A supervisor's connection, its actors played by the test: what it hears, when, and until when."""

from typing import Any
from uuid import UUID

import pytest

from actors import DeadlineExceeded
from kefu.conversations import messages as conversations
from kefu.conversations.messages import Refusal
from kefu.gateway.supervision import WATCH_LIMIT
from protocol.codes import ErrorCode
from tests.gateway.office import ME, TYPING, WATCHED, Office, code, kinds, shown
from tests.gateway.stage import CHAT, passes, simulated

# --- beginning ------------------------------------------------------------------------------------


def test_a_watch_is_answered_and_then_shows_the_chat() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.watching()
        assert shown(peer) == ["chat_watch", "chat_status"]
        assert peer.frames[0]["reply_to"] == "w"
        assert peer.frames[0]["payload"] == {"chat_id": str(CHAT), "is_watching": True}
        assert kinds(office.told) == ["WatchChat", "Describe"]
        office.publish_watched(office.chats.speak(), TYPING)
        await passes(1)
        assert shown(peer)[2:] == ["new_message", "typing"]
        await peer.leave()
        assert office.hub.count(WATCHED) == 0

    simulated(story)


def test_nothing_is_seen_before_the_watch_is_put_down() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.at_work()
        office.gate.clear()
        peer.say("watch_chat", {"chat_id": str(CHAT)})
        await passes(1)
        assert kinds(office.told) == ["WatchChat"]
        office.publish_watched(office.chats.speak(), TYPING, office.of(CHAT))
        await passes(1)
        assert peer.frames == []
        office.gate.set()
        await passes(1)
        assert shown(peer) == ["chat_watch", "chat_status"]
        assert peer.frames[1]["payload"]["last_seq"] == 1
        await peer.leave()

    simulated(story)


def test_what_is_said_while_the_chat_is_asked_for_comes_neither_twice_nor_never() -> None:
    async def story() -> None:
        office = Office()
        slow = office.answer

        def say_first(message: Any) -> Any:
            if isinstance(message, conversations.Describe):
                office.publish_watched(office.chats.speak())  # told before the look, and in it
                answer = slow(message)
                office.publish_watched(office.chats.speak())
                return answer
            return slow(message)

        office.answer = say_first
        peer = await office.watching()
        assert shown(peer) == ["chat_watch", "chat_status", "new_message"]
        assert peer.frames[1]["payload"]["last_seq"] == 1
        assert peer.frames[2]["payload"]["seq"] == 2
        await peer.leave()

    simulated(story)


@pytest.mark.parametrize("refusal", [ErrorCode.OVERLOADED, None], ids=["refused", "no answer"])
def test_a_chat_that_cannot_be_shown_is_watched_no_longer(refusal: ErrorCode | None) -> None:
    async def story() -> None:
        office = Office()
        usual = office.answer

        def fail(message: Any) -> Any:
            if not isinstance(message, conversations.Describe):
                return usual(message)
            if refusal is None:
                raise DeadlineExceeded
            return Refusal(refusal)

        office.answer = fail
        peer = await office.watching()
        assert [frame["payload"]["is_watching"] for frame in peer.frames] == [True, False]
        assert [frame.get("reply_to") for frame in peer.frames] == ["w", None]
        office.publish_watched(TYPING)
        await passes(1)
        assert len(peer.frames) == 2
        await peer.leave()

    simulated(story)


def test_a_watch_that_is_refused_is_none() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.at_work()
        office.answer = lambda _message: Refusal(ErrorCode.CHAT_ENDED)
        peer.say("watch_chat", {"chat_id": str(CHAT)})
        await passes(1)
        assert peer.frames == [], "the conversation itself says why"
        assert office.hub.count(WATCHED) == 0
        await peer.leave()

    simulated(story)


def test_watching_once_more_shows_the_chat_again_and_is_put_down_once() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.watching()
        peer.say("watch_chat", {"chat_id": str(CHAT)}, id="again")
        await passes(1)
        assert shown(peer) == ["chat_watch", "chat_status"] * 2
        assert kinds(office.told) == ["WatchChat", "Describe", "Describe"]
        await peer.leave()

    simulated(story)


# --- who may, and how much ------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["watch_chat", "unwatch_chat", "whisper"])
def test_supervising_is_not_for_every_agent(type: str) -> None:
    async def story() -> None:
        office = Office()
        peer = await office.at_work("agent")
        peer.say(type, {"chat_id": str(UUID(int=404)), "content": "?"}, id="1")
        await passes(1)
        assert code(peer) == "FORBIDDEN"
        assert peer.frames[0]["reply_to"] == "1"
        assert office.told == []
        await peer.leave()

    simulated(story)


@pytest.mark.parametrize("type", ["watch_chat", "unwatch_chat", "whisper", "request_assist"])
def test_a_chat_that_is_not_there_is_not_found(type: str) -> None:
    async def story() -> None:
        office = Office()
        peer = await office.at_work("admin")
        wish = {"chat_id": str(UUID(int=404)), "content": "?"}
        peer.say(type, {**wish, "question": "?", "to_agent_id": str(ME.id)})
        await passes(1)
        assert code(peer) == "CHAT_NOT_FOUND"
        await peer.leave()

    simulated(story)


def test_only_so_many_chats_are_watched_at_once() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.at_work()
        for number in range(WATCH_LIMIT + 1):
            peer.say("watch_chat", {"chat_id": str(UUID(int=1000 + number))}, id=str(number))
            await passes(1)
        assert code(peer) == "INVALID_MESSAGE"
        assert peer.heard("error")[0]["reply_to"] == str(WATCH_LIMIT)
        peer.say("unwatch_chat", {"chat_id": str(UUID(int=1000))})
        peer.say("watch_chat", {"chat_id": str(UUID(int=5000))})
        await passes(1)
        assert peer.heard("chat_watch")[-1]["payload"]["is_watching"] is True
        assert len(peer.heard("error")) == 1
        await peer.leave()

    simulated(story)


# --- ending ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_kept", [True, False], ids=["put down", "not put down"])
def test_who_stops_watching_hears_nothing_more(is_kept: bool) -> None:
    async def story() -> None:
        office = Office()
        peer = await office.watching()
        usual = office.answer

        def answer(message: Any) -> Any:
            if isinstance(message, conversations.UnwatchChat) and not is_kept:
                raise DeadlineExceeded
            return usual(message)

        office.answer = answer
        peer.say("unwatch_chat", {"chat_id": str(CHAT)}, id="u")
        await passes(1)
        last = peer.frames[-1]
        assert (last["type"], last["reply_to"]) == ("chat_watch", "u")
        assert last["payload"]["is_watching"] is False
        assert kinds(office.told)[-1] == "UnwatchChat"
        office.publish_watched(office.chats.speak(), TYPING, office.of(CHAT))
        await passes(1)
        assert peer.frames[-1] == last
        await peer.leave()

    simulated(story)


def test_what_is_not_watched_need_not_be_unwatched() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.at_work()
        peer.say("unwatch_chat", {"chat_id": str(CHAT)})
        await passes(1)
        assert [frame["payload"]["is_watching"] for frame in peer.heard("chat_watch")] == [False]
        assert office.told == []
        await peer.leave()

    simulated(story)


def test_what_is_held_back_goes_out_before_the_watch_ends() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.watching()
        office.chats.delay_s = 1.0
        office.gate.clear()
        peer.say("whisper", {"chat_id": str(CHAT), "content": "?"})
        peer.say("unwatch_chat", {"chat_id": str(CHAT)})
        await passes(1)
        office.chats.speak()  # which nobody told
        office.publish_watched(office.chats.speak())
        await passes(1)
        assert len(peer.frames) == 2, "it waits for the whisper, as unwatching does"
        office.gate.set()
        await passes(5)
        told = [(f["type"], f["payload"].get("seq")) for f in peer.frames[2:]]
        assert told == [("new_message", 1), ("new_message", 2), ("chat_watch", None)]
        await peer.leave()

    simulated(story)
