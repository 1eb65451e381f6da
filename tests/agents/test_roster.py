"""Accounts as administrators change them, and what that ends."""

from typing import Any
from uuid import UUID

import anyio
import httpx
import pytest

from kefu.audit.messages import SYSTEM
from kefu.errors import Problem
from protocol.agent import AgentStatusName
from protocol.codes import ErrorCode
from tests.agents.office import GOOD, HERE, Office, bearer

NOBODY = UUID(int=404)


@pytest.fixture
async def boss(office: Office) -> dict[str, str]:
    """The headers of an administrator."""
    await office.create("boss", "Boss", role="admin")
    return bearer((await office.enter("boss")).token)


async def test_an_administrator_makes_an_agent(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    asked = {"username": "mei", "name": "Mei", "password": GOOD, "role": "supervisor"}
    made = await client.post("/api/agents", json=asked, headers=boss)
    assert made.status_code == 201
    assert made.json()["data"]["role"] == "supervisor"
    assert GOOD not in made.text
    await office.accounts.sign_in("mei", GOOD, HERE)
    entry = await office.last_entry()
    assert (entry.action, entry.by_name, entry.subject_id, entry.address) == (
        "agent.created",
        "Boss",
        made.json()["data"]["id"],
        HERE,
    )
    taken = await client.post("/api/agents", json=asked | {"username": "MEI"}, headers=boss)
    assert (taken.status_code, taken.json()["code"]) == (422, "UNPROCESSABLE")


async def test_agents_are_listed_page_by_page(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    first = (await client.get("/api/agents?limit=1", headers=boss)).json()["data"]
    assert [agent["username"] for agent in first["agents"]] == ["boss"]
    second = await client.get(f"/api/agents?cursor={first['next_cursor']}", headers=boss)
    assert [agent["username"] for agent in second.json()["data"]["agents"]] == ["lin"]
    assert second.json()["data"]["next_cursor"] is None
    for wrong in ("limit=0", "limit=201", "limit=x", "limit=", "cursor=" + "a" * 65, "cursor=%00"):
        answer = await client.get(f"/api/agents?{wrong}", headers=boss)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")


async def test_only_who_is_online_with_a_free_place_is_available(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    people: tuple[tuple[str, AgentStatusName, int], ...] = (
        ("free", "online", 4),
        ("full", "online", 5),
        ("away", "lunch", 0),
        ("gone", "online", 0),
    )
    for username, status, active_count in people:
        agent = await office.create(username, username)
        office.presences.arrive(agent, status, active_count=active_count)
    await office.roster.change(SYSTEM, "gone", {"is_active": False})
    answer = await client.get("/api/agents/available", headers=boss)
    (only,) = answer.json()["data"]
    assert (only["username"], only["active_count"], only["max_sessions"]) == ("free", 4, 5)


async def test_a_change_is_told_and_ends_nothing(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    lin = await office.enter("lin")
    asked = {"name": "林美", "max_sessions": 9, "avatar_url": "/uploads/lin.png"}
    answer = await client.put("/api/agents/LIN", json=asked, headers=boss)
    assert answer.json()["data"] | asked == answer.json()["data"]
    assert office.changed == [lin.agent.id]
    assert await office.is_alive(lin.token)
    entry = await office.last_entry()
    assert entry.before == {"name": "Lin Mei", "max_sessions": 5, "avatar_url": None}
    assert entry.after == asked


async def test_a_new_role_counts_from_the_next_sign_in(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    lin = await office.enter("lin")
    session = (await office.accounts.authenticate(lin.token)).session_id
    await client.put("/api/agents/lin", json={"role": "supervisor"}, headers=boss)
    assert office.signed_out == [session]
    assert not await office.is_alive(lin.token)
    again = await office.accounts.authenticate((await office.enter("lin")).token)
    assert again.role == "supervisor"


async def test_a_deactivated_agent_is_out_and_can_be_let_in_again(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    lin = await office.enter("lin")
    session = (await office.accounts.authenticate(lin.token)).session_id
    answer = await client.delete("/api/agents/lin", headers=boss)
    assert answer.json()["data"]["is_active"] is False
    assert office.signed_out == [session]
    assert (await office.refusal("lin", GOOD)).code == "UNAUTHORIZED"
    assert (await office.last_entry()).action == "agent.deactivated"
    await client.put("/api/agents/lin", json={"is_active": True}, headers=boss)
    assert not await office.is_alive(lin.token)
    await office.accounts.sign_in("lin", GOOD, HERE)


async def test_a_password_reset_by_link_takes_the_old_one_away(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    lin = await office.enter("lin")
    earlier = await office.make_link("lin")
    answer = await client.post("/api/agents/lin/reset-password", json={}, headers=boss)
    link = answer.json()["data"]["link_token"]
    assert not await office.is_alive(lin.token)
    assert (await office.refusal("lin", GOOD)).code == "UNAUTHORIZED"
    with pytest.raises(Problem):
        await office.accounts.redeem_link(earlier)
    assert (await office.accounts.redeem_link(link)).agent.username == "lin"


async def test_a_password_reset_to_a_new_one_ends_every_session(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    lin = await office.enter("lin")
    asked = {"new_password": "staple battery 9"}
    answer = await client.post("/api/agents/lin/reset-password", json=asked, headers=boss)
    assert answer.json()["data"] == {"link_token": None}
    assert not await office.is_alive(lin.token)
    await office.accounts.sign_in("lin", "staple battery 9", HERE)
    weak = {"new_password": "password1"}
    refused = await client.post("/api/agents/lin/reset-password", json=weak, headers=boss)
    assert refused.status_code == 400


async def test_a_password_reset_while_it_is_checked_refuses_the_sign_in(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = office.passwords.matches

    async def reset_meanwhile(password: str, hashed: str | None) -> bool:
        is_right = await matches(password, hashed)
        await office.roster.reset_password(SYSTEM, "lin", "staple battery 9")
        return is_right

    monkeypatch.setattr(office.passwords, "matches", reset_meanwhile)
    assert (await office.refusal("lin", GOOD)).code == "UNAUTHORIZED"


async def test_skills_are_trimmed_once_each_and_bounded(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    (_, lin) = (await office.roster.list()).agents
    path = f"/api/agents/{lin.id}/skills"
    answer = await client.put(path, json={"skills": [" 退款 ", "退款", "english"]}, headers=boss)
    assert answer.json()["data"]["skills"] == ["退款", "english"]
    assert (await office.last_entry()).after == {"skills": ["退款", "english"]}
    fifty = [f"{number:050}" for number in range(50)]
    assert (await client.put(path, json={"skills": fifty}, headers=boss)).status_code == 200
    for wrong in ([""], ["  "], ["a" * 51], ["a\0b"], [*fifty, "x"], "refunds", [7]):
        refused = await client.put(path, json={"skills": wrong}, headers=boss)
        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_MESSAGE")


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("PUT", "/api/agents/nobody", {"name": "N"}),
        ("PUT", "/api/agents/a%00b", {"name": "N"}),
        ("DELETE", "/api/agents/nobody", None),
        ("POST", "/api/agents/nobody/reset-password", {}),
        ("PUT", f"/api/agents/{NOBODY}/skills", {"skills": []}),
        ("PUT", f"/api/teams/{NOBODY}", {"name": "N"}),
        ("DELETE", f"/api/teams/{NOBODY}", None),
        ("PUT", f"/api/teams/{NOBODY}/members", {"agent_ids": []}),
    ],
)
async def test_whoever_does_not_exist_is_not_found(
    client: httpx.AsyncClient, boss: dict[str, str], method: str, path: str, asked: Any
) -> None:
    answer = await client.request(method, path, json=asked, headers=boss)
    assert (answer.status_code, answer.json()["code"]) == (404, "AGENT_NOT_FOUND")


@pytest.mark.parametrize("asked", [{}, {"username": "other"}])
async def test_nothing_to_change_is_refused(
    client: httpx.AsyncClient, boss: dict[str, str], asked: dict[str, str]
) -> None:
    answer = await client.put("/api/agents/lin", json=asked, headers=boss)
    assert answer.json()["code"] == "NO_FIELDS_TO_UPDATE"


@pytest.mark.parametrize("fields", [{"role": "supervisor"}, {"is_active": False}])
async def test_the_last_administrator_stays(office: Office, fields: dict[str, Any]) -> None:
    await office.create("boss", "Boss", role="admin")
    await office.roster.change(SYSTEM, "boss", {"name": "Big Boss"})
    with pytest.raises(Problem, match="one active administrator") as caught:
        await office.roster.change(SYSTEM, "boss", fields)
    assert caught.value.code is ErrorCode.UNPROCESSABLE
    await office.create("second", "Second", role="admin")
    await office.roster.change(SYSTEM, "boss", fields)


async def test_administrators_who_demote_each_other_at_once_leave_one(office: Office) -> None:
    usernames = [f"boss-{number}" for number in range(4)]
    for username in usernames:
        await office.create(username, username, role="admin")
    refused: list[str] = []

    async def demote(username: str) -> None:
        try:
            await office.roster.change(SYSTEM, username, {"role": "agent"})
        except Problem:
            refused.append(username)

    async with anyio.create_task_group() as group:
        for username in usernames:
            group.start_soon(demote, username)
    roles = {agent.username: agent.role for agent in (await office.roster.list()).agents}
    assert [name for name, role in roles.items() if role == "admin"] == refused
    assert len(refused) == 1
