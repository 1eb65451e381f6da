"""A POST is answered in time and in full, whatever its frames meet, and leaves nothing behind."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import httpx
import pytest
from msgspec.structs import replace

from kefu.gateway import posts
from kefu.gateway.limits import ASK_WITHIN_S
from protocol.accounts import Agent
from tests.gateway.stage import CHAT, NOW, Stage, is_empty, no_task_left, passes, simulated

PATH = "/api/chat/frames"


def with_client(story: Callable[[Stage, httpx.AsyncClient], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        stage = Stage()
        transport = httpx.ASGITransport(stage.http, raise_app_exceptions=False)
        token = stage.tokens.customer("c-1", ttl_s=6000)
        stage.chats.owner_id = stage.tokens.verify(token).customer_id
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://kefu",
            headers={"authorization": f"Bearer {token}"},
        ) as client:
            with no_task_left():
                await story(stage, client)
                await passes(0.1)
            assert is_empty(stage.hub)

    simulated(run)


async def post(client: httpx.AsyncClient, *frames: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.post(PATH, json=list(frames))
    assert answer.status_code == 200, answer.text
    caused: list[dict[str, Any]] = answer.json()["data"]["frames"]
    return caused


def said(content: str, id: str) -> dict[str, Any]:
    return {"type": "send_message", "payload": {"content": content}, "id": id}


def test_a_message_nobody_answers_is_to_be_sent_again() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        began = asyncio.get_running_loop().time()
        pong, error = await post(client, said("在吗", "1"), {"type": "ping", "id": "2"})
        assert asyncio.get_running_loop().time() - began == ASK_WITHIN_S
        assert (pong["type"], pong["reply_to"]) == ("pong", "2")
        assert (error["payload"]["code"], error["reply_to"]) == ("OVERLOADED", "1")
        assert error["payload"]["retry_after_s"] > 0

    with_client(story)


def test_an_answer_ends_the_waiting_at_once() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        stage.chats.speak()

        def acknowledge() -> None:
            origin = stage.told[-1].origin
            stage.hub.reply(origin, replace(stage.receipt(1), reply_to=origin.frame_id))

        asyncio.get_running_loop().call_later(0.5, acknowledge)
        (receipt,) = await post(client, said("在吗", "1"))
        assert (receipt["type"], receipt["reply_to"]) == ("message_ack", "1")

    with_client(story)


def test_work_that_takes_too_long_is_refused_with_all_behind_it() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        stage.gate.clear()
        end = {"type": "end_chat", "id": "1"}
        caused = await post(client, end, {"type": "ping", "id": "2"}, {"type": "typing", "id": "3"})
        codes = [(each["payload"]["code"], each["reply_to"]) for each in caused]
        assert codes == [("OVERLOADED", "1"), ("OVERLOADED", "2"), ("OVERLOADED", "3")]
        stage.gate.set()

    with_client(story)


def test_a_full_mailbox_is_said_under_the_frames_id() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        stage.is_full = True
        (error,) = await post(client, said("在吗", "1"))
        assert (error["payload"]["code"], error["reply_to"]) == ("OVERLOADED", "1")

    with_client(story)


def test_frames_without_an_id_are_answered_without_one() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        stage.is_full = True
        frame = {"type": "send_message", "payload": {"content": "在吗"}}
        pong, error, wrong = await post(client, {"type": "ping"}, frame, {"type": "x"})
        assert not {"reply_to"} & (pong.keys() | error.keys() | wrong.keys())

    with_client(story)


def test_it_hears_nothing_but_its_own_answers() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        stage.gate.clear()
        topics: list[int] = []

        def publish() -> None:
            (listener,) = stage.hub
            topics.append(len(listener.topics))
            person = stage.told[-1].by
            stage.hub.publish((f"customer:{person.id}",), stage.chats.speak())
            stage.gate.set()

        asyncio.get_running_loop().call_later(1, publish)
        assert await post(client, {"type": "end_chat", "id": "1"}) == []
        assert topics == [0]

    with_client(story)


def test_it_is_no_presence_and_no_device() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        stage.gate.clear()
        post_1 = asyncio.ensure_future(post(client, {"type": "end_chat"}))
        await passes(1)
        (listener,) = stage.hub
        person = listener.role.person
        assert stage.hub.count(person) == 0
        assert not listener.is_present
        assert [type(message).__name__ for message in stage.told] == ["EndChat"]
        assert stage.open_count == 0
        stage.gate.set()
        await post_1

    with_client(story)


def test_an_answer_that_grows_too_large_stops_before_the_next_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(posts, "ANSWER_BYTES", 5_000)

    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        for _ in range(100):
            stage.chats.speak("长" * 100)
        again = {"type": "resume", "payload": {"chat_id": str(CHAT), "last_seq": 0}}
        caused = await post(client, again | {"id": "1"}, again | {"id": "2"}, said("x", "3"))
        assert [each["type"] for each in caused].count("new_message") == 100
        assert [each["payload"].get("code") for each in caused[-2:]] == ["OVERLOADED"] * 2
        assert [each["reply_to"] for each in caused[-2:]] == ["2", "3"]
        assert stage.told == []

    with_client(story)


def test_new_guests_of_one_address_share_what_they_may_send() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        stage.backstage = replace(stage.backstage, frame_rate=1.0, frame_burst=3.0)
        transport = httpx.ASGITransport(stage.http_app(), client=("192.0.2.1", 1))
        other = httpx.ASGITransport(stage.http_app(), client=("192.0.2.2", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://kefu") as guests:
            kinds = [(await post(guests, {"type": "ping"}))[0]["type"] for _ in range(5)]
        async with httpx.AsyncClient(transport=other, base_url="http://kefu") as elsewhere:
            kinds.append((await post(elsewhere, {"type": "ping"}))[0]["type"])
        assert kinds == ["pong", "pong", "pong", "error", "error", "pong"]

    with_client(story)


def test_an_agents_only_chat_need_not_be_named() -> None:
    async def story(stage: Stage, client: httpx.AsyncClient) -> None:
        agent = _agent()
        bearer = {"authorization": f"Bearer {stage.tokens.agent_access(agent, uuid4())}"}
        end = {"type": "end_chat", "id": "1"}
        told = await client.post(PATH, json=end, headers=bearer)
        assert told.json()["data"]["frames"][0]["payload"]["code"] == "CHAT_ID_REQUIRED"
        stage.chats.active_chats = {CHAT: stage.chats.owner_id}
        await client.post(PATH, json=end, headers=bearer)
        assert stage.told[-1].chat_id == CHAT
        stage.chats.active_chats[uuid4()] = uuid4()
        told = await client.post(PATH, json=end, headers=bearer)
        assert told.json()["data"]["frames"][0]["payload"]["code"] == "CHAT_ID_REQUIRED"

    with_client(story)


def _agent() -> Agent:
    return Agent(
        id=uuid4(),
        username="ann",
        name="Ann",
        avatar_url=None,
        role="agent",
        max_sessions=5,
        status="online",
        status_note=None,
        is_active=True,
        created_at=NOW,
        last_login_at=None,
        skills=(),
        team_ids=(),
    )
