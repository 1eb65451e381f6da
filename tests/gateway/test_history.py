"""Older messages, a page at a time: each once, none left out, and nobody else's."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.server import People
from tests.stories.event_source import Poster, frame


@pytest.fixture
async def customer(people: People) -> AsyncIterator[Poster]:
    async with Poster(people.server.url, people.customer()) as poster:
        yield poster


async def page(client: httpx.AsyncClient, chat_id: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"/api/chats/{chat_id}/messages", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["success"] is True
    data: dict[str, Any] = body["data"]
    return data


def seqs(data: dict[str, Any]) -> list[int]:
    return [message["seq"] for message in data["messages"]]


async def chat_of(customer: Poster, count: int) -> str:
    chat_id = await customer.start()
    for first in range(1, count + 1, 50):
        numbers = range(first, min(first + 50, count + 1))
        await customer.post(*(frame("send_message", content=str(number)) for number in numbers))
    return chat_id


async def test_the_pages_join_without_gap_or_double(customer: Poster) -> None:
    chat_id = await chat_of(customer, 55)
    last = await page(customer.client, chat_id)
    middle = await page(customer.client, chat_id, before_seq=6, limit=3)
    first = await page(customer.client, chat_id, before_seq=3, limit=3)

    assert (seqs(last), last["has_more"]) == ([*range(6, 56)], True)
    assert (seqs(middle), middle["has_more"]) == ([3, 4, 5], True)
    assert (seqs(first), first["has_more"]) == ([1, 2], False)
    assert last["messages"][-1]["content"] == "55"
    assert last["messages"][-1]["sender_type"] == "customer"


@pytest.mark.parametrize(
    ("query", "expected", "has_more"),
    [
        ({"limit": 3}, [1, 2, 3], False),
        ({"limit": 2}, [2, 3], True),
        ({"limit": 1, "before_seq": 2}, [1], False),
        ({"before_seq": 1}, [], False),
        ({"before_seq": 1000}, [1, 2, 3], False),
        ({"before_seq": 2**53 - 1, "limit": 100}, [1, 2, 3], False),
    ],
)
async def test_the_edges_of_a_chat(
    customer: Poster, query: dict[str, int], expected: list[int], has_more: bool
) -> None:
    chat_id = await chat_of(customer, 3)
    data = await page(customer.client, chat_id, **query)
    assert (seqs(data), data["has_more"]) == (expected, has_more)


async def test_a_chat_without_a_message_is_an_empty_page(customer: Poster) -> None:
    chat_id = await customer.start()
    assert await page(customer.client, chat_id) == {"messages": [], "has_more": False}


async def test_agents_may_read_and_others_find_nothing(people: People, customer: Poster) -> None:
    chat_id = await chat_of(customer, 2)
    agent = await people.agent()
    path = f"/api/chats/{chat_id}/messages"
    async with httpx.AsyncClient(base_url=people.server.url, trust_env=False) as client:
        read = await client.get(path, params={"token": agent.token})
        answers = {
            "a stranger": await client.get(path, params={"token": people.customer()}),
            "nobody": await client.get(path),
            "a bad token": await client.get(path, params={"token": agent.token[:-3]}),
        }
    unknown = await customer.client.get(f"/api/chats/{uuid4()}/messages")
    no_id = await customer.client.get("/api/chats/latest/messages")

    assert seqs(read.json()["data"]) == [1, 2]
    codes = {who: (each.status_code, each.json()["code"]) for who, each in answers.items()}
    assert codes == {
        "a stranger": (404, "CHAT_NOT_FOUND"),
        "nobody": (401, "UNAUTHORIZED"),
        "a bad token": (401, "UNAUTHORIZED"),
    }
    assert unknown.json()["code"] == no_id.json()["code"] == "CHAT_NOT_FOUND"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "101", "-1", "x", "", "1.5", "9" * 30)),
        *(("before_seq", value) for value in ("0", "-1", "x", str(2**53), "٣")),
    ],
)
async def test_a_wrong_parameter_is_named(customer: Poster, name: str, value: str) -> None:
    answer = await customer.client.get(f"/api/chats/{UUID(int=1)}/messages", params={name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert list(answer.json()["fields"]) == [name]
