"""The audit log as an administrator reads it over HTTP."""

import httpx
import pytest

from tests.agents.office import Office, bearer


@pytest.fixture
async def boss(office: Office) -> dict[str, str]:
    """The headers of an administrator."""
    await office.create("boss", "Boss", role="admin")
    return bearer((await office.enter("boss")).token)


async def test_the_log_is_read_page_by_page(
    client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    await client.post("/api/teams", json={"name": "Returns"}, headers=boss)
    first = (await client.get("/api/audit?limit=1", headers=boss)).json()["data"]
    (newest,) = first["entries"]
    assert newest["action"] == "team.created"
    assert newest["after"] == {"name": "Returns"}
    seen = [newest["id"]]
    cursor = first["next_cursor"]
    while cursor is not None:
        answer = await client.get(f"/api/audit?limit=1&cursor={cursor}", headers=boss)
        seen += [entry["id"] for entry in answer.json()["data"]["entries"]]
        cursor = answer.json()["data"]["next_cursor"]
    assert seen == list(range(len(seen), 0, -1))


@pytest.mark.parametrize(
    "query", ["cursor=0", "cursor=-1", "cursor=x", "cursor=9223372036854775808", "limit=201"]
)
async def test_a_wrong_page_is_refused_with_the_bounds(
    client: httpx.AsyncClient, boss: dict[str, str], query: str
) -> None:
    answer = await client.get(f"/api/audit?{query}", headers=boss)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert list(answer.json()["fields"]) == [query.split("=")[0]]
