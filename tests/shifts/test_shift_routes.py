"""The hours over HTTP: who may read and who may change them, and what is refused."""

import httpx
import pytest

from kefu.audit.messages import SYSTEM
from protocol.accounts import Role
from tests.agents.office import HERE, Office, bearer

CONFIG, STATUS = "/api/shift/config", "/api/shift/status"


async def headers(office: Office, role: Role) -> dict[str, str]:
    await office.create(f"a-{role}", "A", role=role)
    return bearer((await office.enter(f"a-{role}")).token)


async def test_an_administrator_chooses_and_every_agent_reads(
    office: Office, client: httpx.AsyncClient
) -> None:
    boss, agent = await headers(office, "admin"), await headers(office, "agent")
    wanted = {"start": "17:30", "end": "24:00", "holidays": ["2026-10-02", "2026-10-01"]}
    told = await client.put(CONFIG, json=wanted, headers=boss)
    assert told.json()["data"] == {
        "team_id": None,
        "source": "shop",
        "start": "17:30",
        "end": "24:00",
        "timezone": "Asia/Shanghai",
        "weekends_disabled": False,
        "holidays": ["2026-10-01", "2026-10-02"],
        "team_ids": [],
    }
    assert (await client.get(CONFIG, headers=agent)).json() == told.json()
    assert (await office.last_entry()).address == HERE

    now = (await client.get(STATUS, headers=agent)).json()["data"]
    assert now == {
        "team_id": None,
        "is_open": False,
        "is_always_open": False,
        "at": "2026-11-21T17:00:00+08:00",
        "next_start": "2026-11-21T17:30:00+08:00",
    }
    office.clock.advance(1800)
    assert (await client.get(STATUS, headers=agent)).json()["data"]["is_open"]

    back = await client.delete(CONFIG, headers=boss)
    assert back.json()["data"]["source"] == "settings"


async def test_a_team_is_named_in_the_query(office: Office, client: httpx.AsyncClient) -> None:
    boss, team = await headers(office, "admin"), await office.teams.create(SYSTEM, "Night")
    query = {"team_id": str(team.id)}
    told = await client.put(CONFIG, params=query, json={}, headers=boss)
    assert (told.json()["data"]["source"], told.json()["data"]["team_id"]) == ("team", str(team.id))
    status = await client.get(STATUS, params=query, headers=boss)
    assert status.json()["data"]["is_always_open"]
    assert (await client.delete(CONFIG, params=query, headers=boss)).status_code == 200
    gone = await client.put(CONFIG, params={"team_id": HERE}, json={}, headers=boss)
    assert (gone.status_code, gone.json()["code"]) == (400, "INVALID_MESSAGE")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", CONFIG), ("GET", STATUS), ("PUT", CONFIG), ("DELETE", CONFIG)]
)
async def test_a_route_is_open_to_those_who_may_and_to_nobody_else(
    office: Office, client: httpx.AsyncClient, method: str, path: str
) -> None:
    customer = bearer(office.tokens.customer("customer-9", vip=True))
    answers = {}
    for who, token in (("nobody", {}), ("customer", customer)):
        told = await client.request(method, path, json={}, headers=token)
        answers[who] = told.status_code
    for role in ("agent", "supervisor", "admin"):
        told = await client.request(method, path, json={}, headers=await headers(office, role))
        answers[role] = told.status_code
    low = 200 if method == "GET" else 403
    assert answers == {
        "nobody": 401,
        "customer": 401,
        "agent": low,
        "supervisor": low,
        "admin": 200,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"start": "9:00", "end": "18:00"},
        {"start": "09:00\n", "end": "18:00"},
        {"start": "24:00", "end": "18:00"},
        {"start": "09:00"},
        {"start": 9, "end": 18},
        {"timezone": "../../etc/passwd"},
        {"timezone": "America"},
        {"timezone": "Asia/Shanghai\x00"},
        {"holidays": ["2026-02-30"]},
        {"holidays": ["2026-01-01"] * 1001},
        {"weekends_disabled": "yes"},
        [],
    ],
)
async def test_a_bad_body_is_refused(
    office: Office, client: httpx.AsyncClient, body: object
) -> None:
    told = await client.put(CONFIG, json=body, headers=await headers(office, "admin"))
    assert (told.status_code, told.json()["code"]) == (400, "INVALID_MESSAGE")
