"""An agent's sockets end with the session they were opened with, wherever that was ended."""

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from kefu.audit.messages import OPERATOR
from tests.server import Agent, People, Server
from tests.talk import Talker

WITHIN_S = 2.0
GOOD = "correct horse 7"


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def again(people: People, agent: Agent) -> Agent:
    """The same agent on another device."""
    link = await people.roster.make_link(OPERATOR, agent.username)
    return agent._replace(token=(await people.accounts.redeem_link(link)).token)


async def closed(talker: Talker) -> int | None:
    """The code the socket is closed with."""
    with anyio.fail_after(WITHIN_S):
        try:
            while True:
                await talker.socket.recv()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd is not None else None


async def test_logout_closes_the_session_s_sockets_and_no_others(
    people: People, http: httpx.AsyncClient
) -> None:
    desk = await people.agent()
    phone = await again(people, desk)
    async with (
        people.at_work(desk) as workbench,
        people.connected(desk.token) as tab,
        people.at_work(phone) as other,
    ):
        answer = await http.post("/api/agent/logout", headers=bearer(desk.token))
        assert answer.json() == {"success": True, "data": None}
        assert [await closed(workbench), await closed(tab)] == [4501, 4501]
        await other.settle()
    refused = await http.get("/api/agent/profile", headers=bearer(desk.token))
    assert refused.status_code == 401


async def test_a_new_password_closes_the_agent_s_other_sockets(
    people: People, http: httpx.AsyncClient
) -> None:
    desk = await people.agent()
    phone = await again(people, desk)
    async with people.at_work(desk) as workbench, people.at_work(phone) as other:
        answer = await http.post(
            "/api/agent/change-password",
            json={"new_password": GOOD},
            headers=bearer(desk.token),
        )
        assert answer.is_success
        assert await closed(other) == 4501
        await workbench.settle()


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "supervisor"}])
async def test_a_deactivated_agent_or_a_new_role_closes_the_sockets(
    people: People, http: httpx.AsyncClient, change: dict[str, object]
) -> None:
    boss, agent = await people.agent(role="admin"), await people.agent()
    async with people.at_work(agent) as workbench:
        path = f"/api/agents/{agent.username}"
        assert (await http.put(path, json=change, headers=bearer(boss.token))).is_success
        assert await closed(workbench) == 4501


async def test_what_another_program_ended_is_closed_too(people: People) -> None:
    """As by `kefu agent reset-password`, or another instance."""
    agent = await people.agent()
    customer = people.customer()
    async with people.at_work(agent) as workbench, people.connected(customer) as stays:
        await people.roster.reset_password(OPERATOR, agent.username, None)
        assert await closed(workbench) == 4501
        await stays.settle()


async def test_a_status_chosen_over_http_is_seen_by_colleagues_and_audited(
    people: People, http: httpx.AsyncClient
) -> None:
    agent, colleague = await people.agent(), await people.agent(role="admin")
    asked = {"status": "lunch", "note": "back at one"}
    async with people.at_work(colleague) as watching, people.at_work(agent):
        online = await http.get("/api/agents/available", headers=bearer(agent.token))
        assert str(agent.id) in {each["id"] for each in online.json()["data"]}
        answer = await http.put("/api/agent/status", json=asked, headers=bearer(agent.token))
        assert answer.json()["data"] == {
            "status": "lunch",
            "chosen": "lunch",
            "note": "back at one",
        }
        while True:
            seen = (await watching.expect("agent_status"))["payload"]["agent"]
            if (seen["agent_id"], seen["status"]) == (str(agent.id), "lunch"):
                break
        away = await http.get("/api/agents/available", headers=bearer(agent.token))
        assert str(agent.id) not in {each["id"] for each in away.json()["data"]}
    log = await http.get("/api/audit?limit=200", headers=bearer(colleague.token))
    entries = [each for each in log.json()["data"]["entries"] if each["by_id"] == str(agent.id)]
    assert [each["action"] for each in entries] == ["agent.status_chosen"]


async def test_fewer_places_count_at_once(people: People, http: httpx.AsyncClient) -> None:
    boss, agent = await people.agent(role="admin"), await people.agent(max_sessions=5)
    async with people.at_work(agent) as workbench:
        path = f"/api/agents/{agent.username}"
        await http.put(path, json={"max_sessions": 1}, headers=bearer(boss.token))
        while True:
            seen = (await workbench.expect("agent_status"))["payload"]["agent"]
            if (seen["agent_id"], seen["max_sessions"]) == (str(agent.id), 1):
                break
