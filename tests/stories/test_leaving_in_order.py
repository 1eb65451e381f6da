"""A real server is told to stop in the middle of talk: everybody is sent away, nothing is lost."""

import signal
from contextlib import AsyncExitStack, suppress
from typing import Any

import anyio
import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from kefu.storage.embedded import Stores
from tests.server import People, people_of, running
from tests.stories.event_source import EventSource, Poster
from tests.talk import Talker
from tests.until import until

pytestmark = pytest.mark.timeout(120)

CROWD = 400  # at 500 a second they take most of a second to leave


class Farewell:
    """What one connection heard of the end."""

    def __init__(self) -> None:
        self.after_ms: int | None = None
        self.code: int | None = None

    async def hear(self, talker: Talker) -> None:
        try:
            self.after_ms = (await talker.expect("goaway"))["payload"]["reconnect_after_ms"]
            await talker.expect("the end")
        except ConnectionClosed as closed:
            self.code = closed.rcvd.code if closed.rcvd is not None else None


class Visitors:
    """They knock again and again, and note how they are answered."""

    def __init__(self, people: People) -> None:
        self.refusals: list[tuple[int, int]] = []
        self.readiness: list[tuple[int, dict[str, Any]]] = []
        self._people = people

    async def knock(self) -> None:
        url = self._people.server.url
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            with suppress(OSError, httpx.TransportError, InvalidMessage):  # it is gone
                while True:
                    ready = await client.get("/readyz")
                    self.readiness.append((ready.status_code, ready.json()))
                    await self._come_in()

    async def _come_in(self) -> None:
        try:
            async with self._people.connected(None):
                pass
        except InvalidStatus as refused:
            answer = refused.response
            self.refusals.append((answer.status_code, int(answer.headers["retry-after"])))
        except ConnectionClosed:
            pass


async def speak(talker: Talker, acked: dict[str, int]) -> None:
    """Say something as fast as it is acknowledged, until the end."""
    with suppress(ConnectionClosed):
        while True:
            key = f"m-{len(acked) + 1}"
            receipt = await talker.say(key, client_message_id=key)
            acked[key] = receipt["seq"]


async def listen(stream: EventSource) -> None:
    await stream.expect("goaway")
    await stream.expect("close")


async def test_told_to_stop_it_sends_everybody_away_and_loses_nothing(
    stores: Stores, database: str
) -> None:
    variables = {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_MAX_FRAME_RATE": "10000",
        "KEFU_MAX_FRAME_BURST": "10000",
    }
    acked: dict[str, int] = {}
    async with (
        running(variables) as server,
        people_of(server, database) as people,
        AsyncExitStack() as everybody,
    ):
        token = people.customer()
        customer = await everybody.enter_async_context(people.connected(token))
        chat_id = await customer.start()
        poster = await everybody.enter_async_context(Poster(server.url, people.customer()))
        stream = await everybody.enter_async_context(poster.listening())
        await poster.start()
        crowd = [await everybody.enter_async_context(people.connected(None)) for _ in range(CROWD)]
        farewells, visitors = [Farewell() for _ in crowd], Visitors(people)
        async with anyio.create_task_group() as tasks:
            for farewell, talker in zip(farewells, crowd, strict=True):
                tasks.start_soon(farewell.hear, talker)
            tasks.start_soon(speak, customer, acked)
            tasks.start_soon(listen, stream)
            tasks.start_soon(visitors.knock)
            await until(lambda: len(acked) > 20 and len(visitors.readiness) > 2)
            server.process.send_signal(signal.SIGTERM)
        assert await server.stop() == 0
        assert "Traceback" not in "".join(server.said)

    assert {farewell.code for farewell in farewells} == {4012}
    waits = [farewell.after_ms for farewell in farewells if farewell.after_ms is not None]
    assert len(waits) == CROWD
    assert max(waits) <= 1000
    assert len(set(waits)) > CROWD // 4, "their moments are spread"
    assert [each["type"] for each in stream.frames[-2:]] == ["goaway", "close"]
    assert stream.frames[-1]["payload"]["code"] == 4012
    assert visitors.readiness[0] == (200, {"status": "ready", "reasons": {}})
    status, last = visitors.readiness[-1]
    assert (status, last["status"], list(last["reasons"])) == (503, "unready", ["draining"])
    assert visitors.refusals
    assert all(code == 503 and 1 < after <= 5 for code, after in visitors.refusals)

    async with (
        running(variables) as again,
        people_of(again, database) as people,
        Poster(again.url, token) as customer,
    ):
        kept = await everything_said(customer.client, chat_id)
    assert acked.items() <= kept.items()
    assert list(kept.values()) == list(range(1, len(kept) + 1)), "each once, in order"


async def everything_said(client: httpx.AsyncClient, chat_id: str) -> dict[str, int]:
    """The seq of each message by its content, read page by page from the end."""
    messages: list[dict[str, Any]] = []
    has_more, query = True, {"limit": 100}
    while has_more:
        answer = await client.get(f"/api/chats/{chat_id}/messages", params=query)
        page = answer.json()["data"]
        messages, has_more = page["messages"] + messages, page["has_more"]
        query["before_seq"] = messages[0]["seq"]
    return {message["content"]: message["seq"] for message in messages}
