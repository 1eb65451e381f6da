"""The facade of a real `kefu serve`: the twelve checks, and one conversation on every way."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from kefu.storage.embedded import Stores
from tests.facade.test_regression_script import CHECKS, walk
from tests.server import People, people_of, running
from tests.stories.event_source import EventSource

ASK = "怎么退款？"


@pytest.fixture
async def people(stores: Stores, database: str) -> AsyncIterator[People]:
    """Of a server with the bot that needs nothing."""
    variables = {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_AI_PROVIDER": "knowledge",
    }
    async with running(variables) as server, people_of(server, database) as people:
        yield people
        assert server.troubles == []


async def test_all_twelve_hold(people: People) -> None:
    link = await people.sign_in_link(f"r{uuid4().hex[:10]}")
    code, lines = await walk(
        people.server.url, KEFU_AGENT_LINK=link, KEFU_VIP_TOKEN=people.customer(vip=True)
    )
    assert lines == [*(f"ok    {name}" for name in CHECKS), "12/12"]
    assert code == 0


async def test_a_customer_is_in_one_conversation_whichever_way_they_write(people: People) -> None:
    agent, token = await people.agent("小可"), people.customer()
    bearer = {"authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=people.server.url, trust_env=False, timeout=30) as client,
        people.connected(token) as socket,
        people.at_work(agent) as desk,
        client.stream("GET", "/api/chat/stream", params={"token": token}) as response,
    ):
        events = EventSource(response, "")
        told = (await client.post("/api/chat", json={"message": ASK}, headers=bearer)).json()
        answer = await socket.expect("new_message", sender_type="ai")
        assert told["message"] == answer["payload"]["content"]
        assert (await events.expect("message"))["content"] == told["message"]

        await socket.send("request_human")
        waiting = await socket.expect("chat_status", status="waiting")
        while (await events.expect("status_change"))["status"] != "pending_manual":
            pass
        await desk.send("accept_chat", {"chat_id": waiting["payload"]["chat_id"]})
        await socket.expect("chat_status", status="active")
        refused = await client.post("/api/chat", json={"message": "?"}, headers=bearer)
        assert (refused.status_code, refused.json()["code"]) == (409, "MANUAL_IN_PROGRESS")

        await desk.say("您好", chat_id=waiting["payload"]["chat_id"])
        heard = await events.expect("manual_message")
        while heard["role"] != "agent":
            heard = await events.expect("manual_message")
        assert (heard["content"], heard["agent_name"]) == ("您好", "小可")
