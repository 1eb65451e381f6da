"""Every route of agents, by everybody who might try it. A new route without a row fails.

Nobody but the caller is named in the routes of one's own account, so the callers here are roles;
what a token of somebody else's kind may not do, it may not do anywhere.
"""

from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest

from kefu.audit.messages import SYSTEM
from kefu.storage.database import DatabasePool
from protocol.accounts import PERMISSIONS, Permission, Role
from tests.agents.office import Office, bearer


class Row(NamedTuple):
    """`may` is the permission it takes, None for everybody. `answer` is the good status."""

    may: Permission | None
    body: Any = None
    answer: int = 200


TABLE = {
    ("POST", "/api/agent/login"): Row(None, {}, 400),
    ("POST", "/api/agent/refresh"): Row(None, {}, 400),
    ("POST", "/api/agent/link"): Row(None, {}, 400),
    ("POST", "/api/agent/logout"): Row("account.own"),
    ("GET", "/api/agent/profile"): Row("account.own"),
    ("PUT", "/api/agent/profile"): Row("account.own", {"name": "New"}),
    ("POST", "/api/agent/change-password"): Row("account.own", {"new_password": "brand new 9"}),
    ("GET", "/api/agent/status"): Row("account.own"),
    ("PUT", "/api/agent/status"): Row("account.own", {"status": "lunch"}),
    ("GET", "/api/agents"): Row("agents.read"),
    ("POST", "/api/agents"): Row("agents.write", {"username": "zhao", "name": "Z"}, 201),
    ("GET", "/api/agents/available"): Row("colleagues.read"),
    ("PUT", "/api/agents/{username}"): Row("agents.write", {"max_sessions": 9}),
    ("DELETE", "/api/agents/{username}"): Row("agents.write"),
    ("POST", "/api/agents/{username}/reset-password"): Row("agents.write", {}),
    ("PUT", "/api/agents/{id:uuid}/skills"): Row("agents.write", {"skills": ["refunds"]}),
    ("GET", "/api/teams"): Row("colleagues.read"),
    ("POST", "/api/teams"): Row("teams.write", {"name": "After sales"}, 201),
    ("PUT", "/api/teams/{id:uuid}"): Row("teams.write", {"name": "Returns"}),
    ("DELETE", "/api/teams/{id:uuid}"): Row("teams.write"),
    ("PUT", "/api/teams/{id:uuid}/members"): Row("teams.write", {"agent_ids": []}),
    ("GET", "/api/audit"): Row("audit.read"),
}
ROLES: tuple[Role, ...] = ("agent", "supervisor", "admin")


def served(office: Office) -> set[tuple[str, str]]:
    return {
        (method, route.path)
        for route in office.routes()
        for method in (route.methods or set()) - {"HEAD"}
    }


async def strangers(office: Office) -> dict[str, dict[str, str]]:
    """Everyone who is no agent, or no longer."""
    signed_out = await office.enter("lin")
    identity = await office.accounts.authenticate(signed_out.token)
    await office.own.sign_out(SYSTEM, identity.session_id)
    await office.create("boss", "Boss", role="admin")
    await office.create("gone", "Gone", role="admin")
    gone = await office.enter("gone")
    await office.roster.change(SYSTEM, "gone", {"is_active": False})
    return {
        "anonymous": {},
        "customer": bearer(office.tokens.customer("customer-9", vip=True)),
        "guest": bearer(office.tokens.guest("guest-3")),
        "signed out": bearer(signed_out.token),
        "deactivated": bearer(gone.token),
        "refresh token": bearer((await office.enter("lin")).refresh_token),
    }


@pytest.fixture
async def path_of(office: Office) -> Any:
    target = await office.create("mei", "Mei")
    team = await office.teams.create(SYSTEM, "Before sales")

    def fill(path: str) -> str:
        owner: UUID = team.id if "teams" in path else target.id
        return path.replace("{username}", "mei").replace("{id:uuid}", str(owner))

    return fill


async def test_every_route_has_its_row(pool: DatabasePool) -> None:
    assert served(Office(pool)) == set(TABLE)


@pytest.mark.parametrize(("method", "path"), TABLE)
async def test_a_route_is_open_to_those_who_may_and_to_nobody_else(
    office: Office, client: httpx.AsyncClient, path_of: Any, method: str, path: str
) -> None:
    row = TABLE[method, path]
    answers: dict[str, int] = {}
    for who, headers in (await strangers(office)).items():
        told = await client.request(method, path_of(path), json=row.body, headers=headers)
        answers[who] = told.status_code
        if row.may is not None:
            assert told.json()["code"] == "UNAUTHORIZED"
            assert set(told.json()) == {"success", "code", "detail", "error"}
    expected = dict.fromkeys(answers, row.answer if row.may is None else 401)
    for role in ROLES:
        await office.create(f"a-{role}", "A", role=role)
        headers = bearer((await office.enter(f"a-{role}")).token)
        told = await client.request(method, path_of(path), json=row.body, headers=headers)
        answers[role] = told.status_code
        expected[role] = row.answer if row.may in (None, *PERMISSIONS[role]) else 403
    assert answers == expected


def test_a_higher_role_may_all_that_a_lower_one_may() -> None:
    for lower, higher in pairwise(ROLES):
        assert set(PERMISSIONS[lower]) < set(PERMISSIONS[higher])
