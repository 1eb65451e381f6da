"""Products in chats of the demo shop, over real sockets: agents send their cards, the bot shows
what it was asked for."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kefu.storage.embedded import Stores
from tests.server import People, Server, people_of, running

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def demo(stores: Stores, database: str) -> AsyncIterator[People]:
    """Of a demo shop whose bot answers first."""
    variables = {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_AI_PROVIDER": "knowledge",
    }
    async with running(variables, arguments=("--demo",)) as server:
        async with people_of(server, database) as people:
            yield people
        assert server.troubles == []


async def products(server: Server, words: str) -> dict[str, Any]:
    """What the shop's own search finds: names by id."""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        told = await client.get("/api/products", params={"q": words})
    assert told.status_code == 200, told.text
    return {each["id"]: each["name"] for each in told.json()["data"]["products"]}


async def test_an_agent_sends_a_card_and_the_customer_gets_it(demo: People) -> None:
    (pack, *_) = await products(demo.server, "背包")
    agent = await demo.agent("小可")
    async with demo.connected(demo.customer()) as customer, demo.at_work(agent) as desk:
        chat_id = await customer.start()
        await desk.send("accept_chat", {"chat_id": chat_id})
        await desk.expect("chat_status", status="active")
        before = await desk.say("您好", chat_id=chat_id)
        card = {"content": pack, "message_type": "product", "chat_id": chat_id}
        await desk.send("send_message", {**card, "client_message_id": "k-1"}, id="card")
        await desk.send("send_message", {"content": "这款轻", "chat_id": chat_id}, id="after")
        await desk.send("send_message", {**card, "content": UNKNOWN}, id="unknown")

        heard = [(await customer.expect("new_message"))["payload"] for _ in range(3)]
        assert [each["content"] for each in heard] == ["您好", pack, "这款轻"]
        assert [each.get("message_type", "text") for each in heard] == ["text", "product", "text"]
        assert [each["seq"] for each in heard] == [before["seq"] + n for n in range(3)]
        error = await desk.expect("error")
        assert (error["reply_to"], error["payload"]["code"]) == ("unknown", "PRODUCT_NOT_FOUND")

        await customer.say(pack, message_type="product")
        told = (await desk.expect("new_message", sender_type="customer"))["payload"]
        assert (told["content"], told["message_type"]) == (pack, "product")
        assert told["seq"] == before["seq"] + 3, "what was refused took no place"


async def test_the_bot_shows_what_it_was_asked_for(demo: People) -> None:
    tents = await products(demo.server, "帐篷")
    async with demo.connected(demo.customer()) as customer:
        await customer.say("有没有帐篷")
        answer = (await customer.expect("new_message", sender_type="ai"))["payload"]
        cards = [
            (await customer.expect("new_message", message_type="product"))["payload"]
            for _ in range(min(3, len(tents)))
        ]
        assert [card["seq"] for card in cards] == [answer["seq"] + 1 + n for n in range(len(cards))]
        assert {card["sender_id"] for card in cards} == {answer["sender_id"]}
        assert len({card["content"] for card in cards}) == len(cards)
        assert all("帐篷" in tents[card["content"]] for card in cards)

        await customer.say("推荐人怎么填")
        last = (await customer.expect("new_message", sender_type="ai"))["payload"]
        assert last["seq"] == cards[-1]["seq"] + 2
        more = [frame["type"] for frame in await customer.settle()]
        assert "new_message" not in more
