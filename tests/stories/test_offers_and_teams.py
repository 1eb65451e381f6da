"""Chats that come to agents by themselves, and chats handed to a team, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kefu.storage.embedded import Stores
from tests.server import Agent, People, people_of, running
from tests.talk import Talker

OFFER_S = 2.0


@asynccontextmanager
async def offering(stores: Stores, database: str) -> AsyncIterator[People]:
    """People of a server that offers every waiting chat to each agent in turn."""
    variables = {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_ASSIGNMENT_MODE": "round_robin",
        "KEFU_OFFER_TIMEOUT_S": str(OFFER_S),
    }
    async with running(variables) as server, people_of(server, database) as people:
        yield people


class Teams:
    """Teams as an administrator makes them over HTTP."""

    def __init__(self, people: People, admin: Agent) -> None:
        self._url = f"{people.server.url}/api/teams"
        self._headers = {"Authorization": f"Bearer {admin.token}"}

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient(trust_env=False, headers=self._headers) as client:
            answer = await client.request(method, self._url + path, json=body)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def make(self, *members: Agent) -> str:
        team_id: str = (await self._ask("POST", "", {"name": uuid4().hex}))["id"]
        await self.fill(team_id, *members)
        return team_id

    async def fill(self, team_id: str, *members: Agent) -> None:
        body = {"agent_ids": [str(member.id) for member in members]}
        await self._ask("PUT", f"/{team_id}/members", body)

    async def delete(self, team_id: str) -> None:
        await self._ask("DELETE", f"/{team_id}")


async def accepted(customer: Talker, desk: Talker) -> str:
    """A chat that this desk is in charge of."""
    chat_id = await customer.start()
    await desk.send("accept_chat", {"chat_id": chat_id})
    await desk.expect("chat_status", chat_id=chat_id, status="active")
    await customer.expect("chat_status", status="active")
    return chat_id


async def test_a_chat_handed_to_a_team_waits_for_it_with_the_note(people: People) -> None:
    one, other = await people.agent("甲"), await people.agent("乙")
    teams = Teams(people, await people.agent(role="admin"))
    team_id = await teams.make(other)
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(one) as first,
        people.at_work(other) as second,
    ):
        chat_id = await accepted(customer, first)
        wish = {"chat_id": chat_id, "to_team_id": team_id, "reason": "语言", "note": "秘密"}
        await first.send("transfer_chat", wish, id="t")
        status = await first.expect("chat_status", chat_id=chat_id)
        result = await first.expect("transfer_result")
        waits = await customer.expect("chat_status", status="waiting")
        await second.expect("queue_update", chat_id=chat_id, change="added")
        again = await second.expect("queue_update", chat_id=chat_id, change="added")
        await second.send("accept_chat", {"chat_id": chat_id})
        taken = await customer.expect("chat_status", status="active")

    assert (status["reply_to"], status["payload"]["status"]) == ("t", "waiting")
    assert result["reply_to"] == "t"
    assert result["payload"] == {
        "chat_id": chat_id,
        "outcome": "transferred",
        "to_team_id": team_id,
    }
    assert waits["payload"]["queue_position"] >= 1
    item = again["payload"]["item"]
    assert (item["team_id"], item["reason"]) == (team_id, "语言")
    assert taken["payload"]["agent"]["name"] == "乙"
    assert "秘密" not in str(customer.heard)


async def test_a_team_nobody_knows_gets_no_chat(people: People) -> None:
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(await people.agent()) as desk,
    ):
        chat_id = await accepted(customer, desk)
        await desk.send("transfer_chat", {"chat_id": chat_id, "to_team_id": str(uuid4())}, id="t")
        refused = await desk.expect("error")
        await desk.say("还在", chat_id=chat_id)

    assert (refused["reply_to"], refused["payload"]["code"]) == ("t", "AGENT_NOT_FOUND")


async def test_a_chat_is_handed_to_a_team_by_its_agent_or_a_supervisor_alone(
    people: People,
) -> None:
    boss = await people.agent("主管", role="supervisor")
    teams = Teams(people, await people.agent(role="admin"))
    team_id = await teams.make()
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(await people.agent("甲")) as desk,
        people.at_work(await people.agent("乙")) as stranger,
        people.at_work(boss) as supervisor,
    ):
        chat_id = await accepted(customer, desk)
        wish = {"chat_id": chat_id, "to_team_id": team_id}
        await stranger.send("transfer_chat", wish, id="t")
        refused = await stranger.expect("error")
        await supervisor.send("transfer_chat", wish)
        await supervisor.expect("transfer_result", outcome="transferred")
        lost = await desk.expect("chat_status", chat_id=chat_id, status="waiting")

    assert (refused["reply_to"], refused["payload"]["code"]) == ("t", "CHAT_NOT_FOUND")
    assert "agent" not in lost["payload"]


async def test_who_comes_to_a_team_is_seen_as_its_member_at_once(people: People) -> None:
    agent = await people.agent()
    teams = Teams(people, await people.agent(role="admin"))
    team_id = await teams.make()
    async with people.at_work(agent) as desk:
        await teams.fill(team_id, agent)
        seen = await desk.expect("agent_status")
        while seen["payload"]["agent"].get("team_ids") != [team_id]:
            seen = await desk.expect("agent_status")
        assert seen["payload"]["agent"]["agent_id"] == str(agent.id)
        await teams.delete(team_id)
        while seen["payload"]["agent"].get("team_ids"):
            seen = await desk.expect("agent_status")


async def test_a_waiting_chat_rings_one_after_the_other_until_somebody_takes_it(
    stores: Stores, database: str
) -> None:
    async with offering(stores, database) as people:
        one, other = await people.agent("甲"), await people.agent("乙")
        async with (
            people.connected(people.customer()) as customer,
            people.at_work(one) as first,
            people.at_work(other) as second,
        ):
            chat_id = await customer.start()
            await first.expect("chat_offer", chat_id=chat_id)
            await first.send("decline_offer", {"chat_id": chat_id}, id="d")
            await second.expect("chat_offer", chat_id=chat_id)
            async with people.connected(other.token, "/ws/workbench") as again:
                frames = [await again.next() for _ in range(2)]
            await first.expect("chat_offer", chat_id=chat_id)  # the second let it run out
            await second.send("decline_offer", {"chat_id": chat_id}, id="late")
            refused = await second.expect("error")
            await first.send("accept_chat", {"chat_id": chat_id})
            await customer.expect("chat_status", status="active")
            heard = await second.settle()
        async with httpx.AsyncClient(trust_env=False) as client:
            metrics = (await client.get(f"{people.server.url}/metrics")).text

    assert [frame["type"] for frame in frames] == ["queue_snapshot", "chat_offer"]
    assert frames[1]["payload"]["chat_id"] == chat_id
    assert (refused["reply_to"], refused["payload"]["code"]) == ("late", "NOT_WAITING")
    assert "chat_offer" not in [frame["type"] for frame in heard]
    assert "error" not in [frame["type"] for frame in first.heard]
    assert "\nkefu_stranded_conversations 0.0\n" in metrics


async def test_a_teams_chat_is_offered_to_it_also_after_a_restart_and_to_all_when_it_is_gone(
    stores: Stores, database: str
) -> None:
    async with offering(stores, database) as people:
        one = await people.agent("甲", max_sessions=1)
        member, admin = await people.agent("乙"), await people.agent(role="admin")
        teams = Teams(people, admin)
        team_id = await teams.make(member)
        token = people.customer()
        async with people.connected(token) as customer, people.at_work(one) as desk:
            chat_id = await accepted(customer, desk)
            await desk.expect("chat_offer", chat_id=chat_id)
            await desk.send("transfer_chat", {"chat_id": chat_id, "to_team_id": team_id})
            await desk.expect("transfer_result")
            async with people.at_work(member) as colleague:
                await colleague.expect("chat_offer", chat_id=chat_id)
            heard = await desk.settle()
        assert "chat_offer" not in [frame["type"] for frame in heard]

    async with offering(stores, database) as people:
        async with people.at_work(one) as desk, people.at_work(member) as colleague:
            await colleague.expect("chat_offer", chat_id=chat_id)
            heard = await desk.settle()
        assert "chat_offer" not in [frame["type"] for frame in heard]
        await Teams(people, admin).delete(team_id)

    async with offering(stores, database) as people, people.at_work(one) as desk:
        await desk.expect("chat_offer", chat_id=chat_id)


@pytest.mark.parametrize("offer", [True, False])
async def test_an_agent_who_reconnects_is_told_of_a_transfer_that_waits_for_them(
    people: People, offer: bool
) -> None:
    one, other = await people.agent("甲"), await people.agent("乙")
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(one) as first,
        people.at_work(other) as second,
    ):
        chat_id = await accepted(customer, first)
        wish = {"chat_id": chat_id, "to_agent_id": str(other.id), "offer": offer}
        await first.send("transfer_chat", wish)
        await first.expect("transfer_result")
        async with people.at_work(other) as again:
            if offer:
                live = await second.expect("transfer_request")
                found = await again.expect("transfer_request")
                assert found["payload"] == live["payload"]
            heard = await again.settle()
    assert "transfer_request" not in [frame["type"] for frame in heard]
