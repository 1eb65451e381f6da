"""A human takes over at every token of an answer, on another instance than the customer's.

From the moment the customer is told so, not one byte is the bot's: on the facade's stream and on a
socket.
"""

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import anyio
import asyncpg
import httpx
import pytest

from kefu.cluster.slots import BEAT_S, REBALANCE_EVERY_BEATS
from tests.databases import Databases
from tests.fakes.upstream import transcripts
from tests.fakes.upstream.behaviour import Behaviour
from tests.fakes.upstream.providers import API_KEY, Providers
from tests.fakes.upstream.serving import served
from tests.server import People, people_of, running
from tests.talk import WITHIN_S
from tests.until import until

PIECES = ("一", "二", "三", "四", "五")
TOKENS_PER_S = 5.0
AT_REST_S = 2 * REBALANCE_EVERY_BEATS * BEAT_S
PLACES = range(len(PIECES) + 1)


class Shop(NamedTuple):
    """The customers' instance, and the agents'."""

    customers: People
    agents: People


@pytest.fixture(scope="module")
async def shop(lasting_redis_url: str, databases: Databases) -> AsyncIterator[Shop]:
    """Two instances, whose bot says a piece every fifth of a second and never comes to an end: an
    agent on a busy machine is not too late, either. They have shared out their conversations: one
    that moves begins its answer anew."""
    providers = Providers()
    before_end = len(transcripts.openai(PIECES).removesuffix(b"data: [DONE]\n\n"))
    endless = Behaviour(pieces=PIECES, tokens_per_s=TOKENS_PER_S, hangs_at=before_end)
    providers.upstream.always("openai", endless)
    async with served(providers.app) as address, databases.lent() as database:
        variables = {
            "KEFU_DATABASE_URL": database,
            "KEFU_REDIS_URL": lasting_redis_url,
            "KEFU_AI_PROVIDER": "openai",
            "KEFU_OPENAI_API_KEY": API_KEY,
            "KEFU_OPENAI_BASE_URL": f"{address}/v1",
        }
        async with (
            running(variables) as left,
            running(variables) as right,
            people_of(left, database) as customers,
            people_of(right, database) as agents,
        ):
            await shared_out(database)
            yield Shop(customers, agents)
            assert left.troubles == right.troubles == []


async def shared_out(database: str) -> None:
    """Return when slots have two owners and none has moved for a while."""
    connection = await asyncpg.connect(database)
    before: list[asyncpg.Record] = []
    since = anyio.current_time()

    async def is_at_rest() -> bool:
        nonlocal before, since
        owners = await connection.fetch(
            "SELECT instance, count(*) FROM slot_owner GROUP BY 1 ORDER BY 1"
        )
        if owners != before:
            before, since = owners, anyio.current_time()
        return len(owners) == 2 and anyio.current_time() - since > AT_REST_S

    try:
        await until(is_at_rest, within_s=60)
    finally:
        await connection.close()


async def take_over(shop: Shop, token: str, name: str) -> None:
    url, bearer = shop.agents.server.url, {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=bearer, trust_env=False) as client:
        answer = await client.post(f"/api/sessions/{name}/takeover", json={})
    assert answer.status_code == 200, answer.text


async def test_the_bot_is_silent_from_a_takeover_on_the_stream(shop: Shop) -> None:
    agent = await shop.agents.agent(max_sessions=len(PLACES))

    async def one(place: int) -> None:
        name, told = f"s-{uuid4().hex[:8]}", []
        body = {"message": "你好", "user_id": name}
        async with (
            httpx.AsyncClient(base_url=shop.customers.server.url, trust_env=False) as client,
            client.stream("POST", "/api/chat/stream", json=body, timeout=WITHIN_S) as response,
        ):
            is_taken = place == 0
            if is_taken:
                await take_over(shop, agent.token, name)
            async for line in response.aiter_lines():
                if not line.startswith("data: "):
                    continue
                told.append(json.loads(line.removeprefix("data: ")))
                if not is_taken and len(text_of(told)) >= place:  # two may come together
                    is_taken = True
                    await take_over(shop, agent.token, name)
        judge(place, told)

    async with anyio.create_task_group() as tasks:
        for place in PLACES:
            tasks.start_soon(one, place)


def text_of(told: list[dict[str, Any]]) -> str:
    return "".join(event["content"] for event in told if event["type"] == "message")


def judge(place: int, told: list[dict[str, Any]]) -> None:
    kinds = [event["type"] for event in told]
    text = text_of(told)
    assert kinds[-2:] == ["status_change", "done"], (place, told)
    assert told[-2]["status"] == "manual_live"
    assert kinds.index("status_change") == len(kinds) - 2
    assert "".join(PIECES).startswith(text)
    assert len(text) >= place


async def test_the_bot_is_silent_from_a_takeover_on_a_socket(shop: Shop) -> None:
    agent = await shop.agents.agent(max_sessions=len(PLACES))

    async def one(place: int) -> None:
        token = shop.customers.customer()
        async with (
            shop.customers.connected(token) as customer,
            shop.agents.at_work(agent) as desk,
        ):
            receipt = await customer.say("你好")
            chat_id = receipt["chat_id"]
            for _ in range(place):
                await customer.expect("ai_delta")
            await desk.send("take_over_chat", {"chat_id": chat_id})
            await customer.expect("chat_status", status="active")
            await desk.say("我来帮您", chat_id=chat_id)
            await customer.expect("new_message", sender_type="agent")
            silence = len(PIECES) / TOKENS_PER_S + 0.5
            with anyio.move_on_after(silence):
                while True:
                    frame = await customer.next()
                    assert frame["type"] != "ai_delta"
                    assert frame.get("payload", {}).get("sender_type") != "ai"

    async with anyio.create_task_group() as tasks:
        for place in PLACES:
            tasks.start_soon(one, place)
