"""Every write of an agent or an administrator is in the audit log, and no secret is."""

from typing import Any, NamedTuple

import httpx
import pytest

from kefu.audit.messages import Act
from kefu.storage.database import Connection, connected
from protocol.accounts import SignedIn
from tests.agents.office import GOOD, HERE, Office, bearer
from tests.agents.test_who_may import TABLE

CANARY = "canary horse 77"
# What is no write, and the one that becomes durable elsewhere (kefu/agents/desks.py).
UNAUDITED = {
    ("POST", "/api/agent/login"),
    ("POST", "/api/agent/refresh"),
    ("POST", "/api/agent/link"),
    ("PUT", "/api/agent/status"),
}
WRITES = [row for row in TABLE if row[0] != "GET" and row not in UNAUDITED]
PASSWORDS = {
    "/api/agent/change-password": {"old_password": GOOD, "new_password": CANARY},
    "/api/agents/{username}/reset-password": {"new_password": CANARY},
}
KEPT = ("agents", "agent_sessions", "teams", "team_members", "sign_in_links", "audit_log")


class Write(NamedTuple):
    """A request that an administrator is about to make."""

    boss: SignedIn
    method: str
    address: str
    body: Any

    async def send(self, client: httpx.AsyncClient) -> httpx.Response:
        headers = bearer(self.boss.token)
        return await client.request(self.method, self.address, json=self.body, headers=headers)


@pytest.fixture(params=WRITES, ids=" ".join)
async def write(request: pytest.FixtureRequest, office: Office, client: httpx.AsyncClient) -> Write:
    method, path = request.param
    await office.create("boss", "Boss", role="admin", password=GOOD)
    boss = await office.accounts.sign_in("boss", GOOD, HERE)
    mei = await office.create("mei", "Mei")
    team = await client.post("/api/teams", json={"name": "T"}, headers=bearer(boss.token))
    owner = team.json()["data"]["id"] if "teams" in path else str(mei.id)
    address = path.replace("{username}", "mei").replace("{id:uuid}", owner)
    return Write(boss, method, address, PASSWORDS.get(path, TABLE[method, path].body))


async def test_a_write_is_one_entry_with_who_and_from_where(
    office: Office, client: httpx.AsyncClient, write: Write
) -> None:
    before = await office.last_entry()
    assert (await write.send(client)).is_success
    entry = await office.last_entry()
    assert entry.id == before.id + 1
    assert (entry.by_type, entry.by_id, entry.by_name, entry.address) == (
        "agent",
        write.boss.agent.id,
        "Boss",
        HERE,
    )
    assert await office.audit.verify() is None


async def test_no_secret_is_in_the_log(
    office: Office, client: httpx.AsyncClient, write: Write
) -> None:
    await write.send(client)
    async with connected(office.pool) as connection:
        stored = str(await connection.fetch("SELECT audit_log::text FROM audit_log"))
        hashes = await connection.fetch("SELECT password_hash FROM agents")
    secrets = {CANARY, GOOD, write.boss.token, write.boss.refresh_token}
    secrets |= {row["password_hash"] for row in hashes if row["password_hash"]}
    assert [secret for secret in secrets if secret in stored] == []


async def test_a_write_that_cannot_be_audited_does_not_happen(
    office: Office, client: httpx.AsyncClient, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_connection: Connection, _act: Act) -> None:
        raise OSError("no room")

    before = await everything(office)
    monkeypatch.setattr(office.audit, "append", broken)
    assert (await write.send(client)).status_code == 503
    assert await everything(office) == before
    assert office.signed_out == []
    assert office.changed == []


async def everything(office: Office) -> list[Any]:
    async with connected(office.pool) as connection:
        return [await connection.fetch(f"SELECT t::text FROM {name} t ORDER BY 1") for name in KEPT]
