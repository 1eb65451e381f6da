"""Supervisors watch, whisper and take over; agents ask each other for help. Over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest

from tests.server import Agent, People
from tests.talk import Talker


class Scene(NamedTuple):
    """A chat under way, and a supervisor at work who has no part in it."""

    chat_id: str
    customer: Talker
    desk: Talker
    agent: Agent
    boss: Talker
    supervisor: Agent

    async def watch(self) -> dict[str, Any]:
        """The status from which on the supervisor hears the chat."""
        await self.boss.send("watch_chat", {"chat_id": self.chat_id}, id="watch")
        answer = await self.boss.expect("chat_watch", chat_id=self.chat_id)
        assert (answer["reply_to"], answer["payload"]["is_watching"]) == ("watch", True)
        status: dict[str, Any] = (await self.boss.expect("chat_status"))["payload"]
        return status


@asynccontextmanager
async def a_chat(people: People, *, role: str = "supervisor") -> AsyncIterator[Scene]:
    agent, supervisor = await people.agent("小可"), await people.agent("敏姐", role=role)
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(agent) as desk,
        people.at_work(supervisor) as boss,
    ):
        chat_id = await customer.start()
        await desk.send("accept_chat", {"chat_id": chat_id})
        await desk.expect("chat_status", status="active")
        await customer.expect("chat_status", status="active")
        yield Scene(chat_id, customer, desk, agent, boss, supervisor)


def of_chats(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the list everybody sees."""
    return [f for f in frames if not f["type"].startswith(("queue_", "agent_status"))]


async def events(database: str, chat_id: str) -> list[tuple[int, str, str | None]]:
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch(
            "SELECT log_id, kind, by_name FROM chat_events WHERE chat_id = $1 ORDER BY created_at",
            chat_id,
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


async def test_a_supervisor_watches_a_chat_and_nobody_notices(
    people: People, session_database: str
) -> None:
    async with a_chat(people) as scene:
        await scene.customer.say("退款多久到账？")
        await scene.desk.expect("new_message")
        status = await scene.watch()
        assert (status["last_seq"], status["agent"]["name"]) == (1, "小可")
        assert "customer" in status

        await scene.desk.say("三个工作日内。", chat_id=scene.chat_id)
        await scene.customer.send("typing", {"is_typing": True})
        await scene.desk.expect("typing")
        await scene.desk.send("add_note", {"chat_id": scene.chat_id, "content": "老客户"})
        note = await scene.desk.expect("note_added")
        await scene.customer.send("end_chat", {"rating": 4})
        await scene.desk.expect("chat_status", status="ended", rating=4)
        heard = of_chats(await scene.boss.settle())
        shown = of_chats(await scene.desk.settle()), of_chats(await scene.customer.settle())
        found = await events(session_database, scene.chat_id)

    assert [f["type"] for f in heard] == ["new_message", "typing", "note_added", "chat_status"]
    assert heard[0]["payload"]["seq"] == 2
    assert (heard[-1]["payload"]["status"], heard[-1]["payload"]["rating"]) == ("ended", 4)
    assert shown[0] == []
    assert [f["type"] for f in shown[1]] == ["new_message", "chat_status"]
    assert note["payload"]["log_id"] == 4, "the note comes right behind the accept"
    assert (-1, "Watched", "敏姐") in found


async def test_what_was_said_before_the_watch_is_read_by_resuming(people: People) -> None:
    async with a_chat(people) as scene:
        for word in ("一", "二", "三"):
            await scene.customer.say(word)
        status = await scene.watch()
        point = {"chat_id": scene.chat_id, "last_seq": 0}
        await scene.boss.send("resume", point, id="r")
        older = [(await scene.boss.expect("new_message"))["payload"] for _ in range(3)]
        await scene.customer.say("四")
        newer = (await scene.boss.expect("new_message"))["payload"]

    assert status["last_seq"] == 3
    assert [message["seq"] for message in (*older, newer)] == [1, 2, 3, 4]


async def test_who_stops_watching_hears_nothing_more(people: People, session_database: str) -> None:
    async with a_chat(people) as scene:
        await scene.watch()
        await scene.boss.send("unwatch_chat", {"chat_id": scene.chat_id}, id="u")
        answer = await scene.boss.expect("chat_watch")
        await scene.customer.say("在吗")
        rest = of_chats(await scene.boss.settle())
        found = await events(session_database, scene.chat_id)

    assert (answer["reply_to"], answer["payload"]["is_watching"]) == ("u", False)
    assert rest == []
    assert [kind for log_id, kind, _ in found if log_id < 0] == ["Watched", "Unwatched"]


async def test_a_watch_ends_with_its_connection_and_begins_anew(people: People) -> None:
    async with a_chat(people) as scene:
        await scene.watch()
        await scene.boss.socket.close()
        async with people.at_work(scene.supervisor) as boss:
            await scene.customer.say("在吗")
            assert of_chats(await boss.settle()) == []
            again = scene._replace(boss=boss)
            assert (await again.watch())["last_seq"] == 1
            await scene.customer.say("喂")
            assert (await boss.expect("new_message"))["payload"]["seq"] == 2


async def test_a_whisper_reaches_the_agent_and_never_the_customer(people: People) -> None:
    async with a_chat(people) as scene:
        whisper = {"chat_id": scene.chat_id, "content": "先道歉-悄悄话"}
        await scene.boss.send("whisper", whisper, id="w")
        own = await scene.boss.expect("whispered")
        heard = await scene.desk.expect("whispered")
        await scene.desk.say("非常抱歉", chat_id=scene.chat_id)
        await scene.customer.expect("new_message")
        frames = await scene.customer.settle()

    assert own["reply_to"] == "w"
    assert (heard["payload"]["agent_name"], heard["payload"]["content"]) == (
        "敏姐",
        "先道歉-悄悄话",
    )
    assert frames == []
    assert "悄悄话" not in str(scene.customer.heard)


async def test_a_whisper_needs_an_agent_in_charge(people: People) -> None:
    async with a_chat(people) as scene:
        await scene.desk.send("release_chat", {"chat_id": scene.chat_id})
        await scene.desk.expect("chat_status", status="bot")
        await scene.boss.send("whisper", {"chat_id": scene.chat_id, "content": "?"}, id="w")
        refused = await scene.boss.expect("error")

    assert (refused["payload"]["code"], refused["reply_to"]) == ("INVALID_STATUS", "w")


async def test_a_watched_chat_is_taken_over_in_one_step(people: People) -> None:
    async with a_chat(people) as scene:
        await scene.watch()
        await scene.boss.send("take_over_chat", {"chat_id": scene.chat_id})
        own = {"id": str(scene.supervisor.id), "name": "敏姐"}
        await scene.boss.expect("chat_status", agent=own)
        await scene.desk.expect("chat_status")
        await scene.boss.send("send_message", {"content": "我是主管"})  # the only own chat
        message = await scene.customer.expect("new_message")
        await scene.boss.send("unwatch_chat", {"chat_id": scene.chat_id})
        await scene.boss.expect("chat_watch")
        await scene.customer.say("你好")
        heard = await scene.boss.expect("new_message")
        await scene.desk.settle()
        await scene.desk.send("send_message", {"content": "?"})
        refused = await scene.desk.expect("error")

    assert message["payload"]["sender_name"] == "敏姐"
    assert heard["payload"]["content"] == "你好"
    assert refused["payload"]["code"] == "CHAT_ID_REQUIRED"


async def test_supervising_is_not_for_every_agent(people: People) -> None:
    async with a_chat(people, role="agent") as scene:
        for type in ("watch_chat", "unwatch_chat", "whisper"):
            await scene.boss.send(type, {"chat_id": scene.chat_id, "content": "?"}, id=type)
            refused = await scene.boss.expect("error")
            assert (refused["payload"]["code"], refused["reply_to"]) == ("FORBIDDEN", type)
        await scene.customer.say("在吗")
        assert of_chats(await scene.boss.settle()) == []


async def test_watching_needs_a_connection_that_stays(
    people: People, session_database: str
) -> None:
    async with a_chat(people) as scene:
        headers = {"authorization": f"Bearer {scene.supervisor.token}"}
        async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
            watch = {"type": "watch_chat", "payload": {"chat_id": scene.chat_id}}
            answer = await client.post(f"{people.server.url}/api/chat/frames", json=watch)
        found = await events(session_database, scene.chat_id)

    (frame,) = answer.json()["data"]["frames"]
    assert frame["payload"]["code"] == "INVALID_MESSAGE"
    assert [kind for log_id, kind, _ in found if log_id < 0] == []


async def test_an_agent_asks_a_colleague_who_reads_and_leaves_a_note(people: People) -> None:
    async with a_chat(people, role="agent") as scene:
        await scene.customer.say("这个能退吗？")
        question = {"to_agent_id": str(scene.supervisor.id), "question": "能退吗-只问同事"}
        await scene.desk.send("request_assist", {"chat_id": scene.chat_id, **question}, id="q")
        own = await scene.desk.expect("assist_request")
        asked = (await scene.boss.expect("assist_request"))["payload"]
        await scene.boss.send("resume", {"chat_id": scene.chat_id, "last_seq": 0})
        read = await scene.boss.expect("new_message")
        await scene.boss.send("add_note", {"chat_id": scene.chat_id, "content": "可以"}, id="n")
        await scene.boss.expect("note_added")
        note = await scene.desk.expect("note_added")
        frames = await scene.customer.settle()

    assert own["reply_to"] == "q"
    assert asked == {
        "chat_id": scene.chat_id,
        "from_agent": {"id": str(scene.agent.id), "name": "小可"},
        "question": "能退吗-只问同事",
    }
    assert read["payload"]["content"] == "这个能退吗？"
    assert note["payload"]["content"] == "可以"
    assert frames == []


@pytest.mark.parametrize("who", ["nobody", "somebody away"])
async def test_who_is_not_there_cannot_be_asked(people: People, who: str) -> None:
    away = await people.agent("不在")
    to = str(away.id) if who == "somebody away" else "00000000-0000-0000-0000-000000000404"
    async with a_chat(people) as scene:
        question = {"chat_id": scene.chat_id, "to_agent_id": to, "question": "?"}
        await scene.desk.send("request_assist", question, id="q")
        refused = await scene.desk.expect("error")

    expected = "AGENT_OFFLINE" if who == "somebody away" else "AGENT_NOT_FOUND"
    assert (refused["payload"]["code"], refused["reply_to"]) == (expected, "q")


async def test_only_who_is_in_charge_asks_for_help(people: People) -> None:
    async with a_chat(people, role="agent") as scene:
        question = {"to_agent_id": str(scene.agent.id), "question": "?"}
        await scene.boss.send("request_assist", {"chat_id": scene.chat_id, **question}, id="q")
        refused = await scene.boss.expect("error")

    assert (refused["payload"]["code"], refused["reply_to"]) == ("CHAT_NOT_FOUND", "q")


async def test_a_rating_after_the_end_reaches_the_agent_who_served(people: People) -> None:
    async with a_chat(people) as scene:
        await scene.customer.send("end_chat")
        await scene.desk.expect("chat_status", status="ended")
        await scene.customer.send("rate_chat", {"rating": 2})
        rated = await scene.desk.expect("chat_status", rating=2)

    assert rated["payload"]["chat_id"] == scene.chat_id
    assert rated["payload"]["status"] == "ended"


async def test_who_comes_too_late_is_told_by_whom_and_when(people: People) -> None:
    late = await people.agent("迟到")
    async with a_chat(people) as scene, people.at_work(late) as other:
        await other.send("accept_chat", {"chat_id": scene.chat_id})
        fault = (await other.expect("error"))["payload"]

    assert fault["code"] == "ALREADY_TAKEN"
    assert fault["taken_by"] == {"id": str(scene.agent.id), "name": "小可"}
    assert fault["taken_at"].endswith("Z")
