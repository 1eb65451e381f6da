"""Teams: named, with members, and seen by every agent."""

import httpx
import pytest

from kefu.agents.staff.teams import TEAM_LIMIT, known_teams
from kefu.audit.messages import SYSTEM
from kefu.errors import Problem
from kefu.storage.database import connected
from protocol.codes import ErrorCode
from tests.agents.office import Office, bearer


@pytest.fixture
async def boss(office: Office) -> dict[str, str]:
    """The headers of an administrator."""
    await office.create("boss", "Boss", role="admin")
    return bearer((await office.enter("boss")).token)


async def test_a_team_is_made_renamed_filled_and_deleted(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    lin = (await office.enter("lin")).agent
    mei = await office.create("mei", "Mei")
    made = await client.post("/api/teams", json={"name": " 售后 "}, headers=boss)
    assert (made.status_code, made.json()["data"]["name"]) == (201, "售后")
    path = f"/api/teams/{made.json()['data']['id']}"

    await client.put(path, json={"name": "退换货"}, headers=boss)
    both = {"agent_ids": [str(lin.id), str(mei.id), str(mei.id)]}
    filled = await client.put(f"{path}/members", json=both, headers=boss)
    assert filled.json()["data"]["agent_ids"] == [str(lin.id), str(mei.id)]
    await client.put(f"{path}/members", json={"agent_ids": [str(mei.id)]}, headers=boss)
    entry = await office.last_entry()
    assert (entry.before, entry.after) == (
        {"agent_ids": [str(lin.id), str(mei.id)]},
        {"agent_ids": [str(mei.id)]},
    )

    agent = bearer((await office.enter("lin")).token)
    (seen,) = (await client.get("/api/teams", headers=agent)).json()["data"]
    assert (seen["name"], seen["agent_ids"]) == ("退换货", [str(mei.id)])
    teams = {each.username: each.team_ids for each in (await office.roster.list()).agents}
    assert {name: len(ids) for name, ids in teams.items()} == {"boss": 0, "lin": 0, "mei": 1}

    assert (await client.delete(path, headers=boss)).status_code == 200
    assert (await client.get("/api/teams", headers=agent)).json()["data"] == []
    assert len((await office.roster.list()).agents) == 3
    actions = [entry.action for entry in (await office.audit.page()).entries]
    assert [action for action in actions if action.startswith("team.")] == [
        "team.deleted",
        "team.members_changed",
        "team.members_changed",
        "team.renamed",
        "team.created",
    ]


async def test_a_name_is_taken_whatever_its_case(
    office: Office, client: httpx.AsyncClient, boss: dict[str, str]
) -> None:
    await office.teams.create(SYSTEM, "Returns")
    other = await office.teams.create(SYSTEM, "Sales")
    made = await client.post("/api/teams", json={"name": "RETURNS"}, headers=boss)
    renamed = await client.put(f"/api/teams/{other.id}", json={"name": "returns"}, headers=boss)
    for answer in (made, renamed):
        assert (answer.status_code, answer.json()["code"]) == (422, "UNPROCESSABLE")
    assert [team.name for team in await office.teams.list()] == ["Returns", "Sales"]
    own = await client.put(f"/api/teams/{other.id}", json={"name": "SALES"}, headers=boss)
    assert own.json()["data"]["name"] == "SALES"


async def test_who_comes_to_a_team_or_leaves_it_is_told_of(office: Office) -> None:
    agents = [(await office.create(name, "A")).id for name in ("mei", "wu", "zhao")]
    team = await office.teams.create(SYSTEM, "Returns")
    assert office.changed == []
    await office.teams.set_members(SYSTEM, team.id, agents[:2])
    assert office.changed == sorted(agents[:2])
    office.changed.clear()
    await office.teams.set_members(SYSTEM, team.id, agents[1:])
    assert office.changed == sorted([agents[0], agents[2]])
    office.changed.clear()
    await office.teams.delete(SYSTEM, team.id)
    assert office.changed == sorted(agents[1:])
    assert await known_teams(office.pool) == set()


async def test_the_teams_there_are_are_known(office: Office) -> None:
    made = {(await office.teams.create(SYSTEM, name)).id for name in ("Returns", "Sales")}
    assert await known_teams(office.pool) == made


async def test_members_are_active_agents(office: Office) -> None:
    team = await office.teams.create(SYSTEM, "Returns")
    mei = await office.create("mei", "Mei")
    await office.roster.change(SYSTEM, "mei", {"is_active": False})
    for stranger in (mei.id, team.id):
        with pytest.raises(Problem) as caught:
            await office.teams.set_members(SYSTEM, team.id, [stranger])
        assert caught.value.code is ErrorCode.AGENT_NOT_FOUND


@pytest.mark.parametrize("name", ["", " ", "a" * 101, "a\0b", 7])
async def test_a_bad_name_is_refused(
    client: httpx.AsyncClient, boss: dict[str, str], name: object
) -> None:
    answer = await client.post("/api/teams", json={"name": name}, headers=boss)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")


async def test_there_can_be_200_teams(office: Office) -> None:
    async with connected(office.pool) as connection:
        await connection.execute(
            "INSERT INTO teams SELECT gen_random_uuid(), 't' || n, now()"
            " FROM generate_series(1, $1) AS n",
            TEAM_LIMIT - 1,
        )
    await office.teams.create(SYSTEM, "the last one")
    with pytest.raises(Problem, match="200 teams"):
        await office.teams.create(SYSTEM, "one too many")
    assert len(await office.teams.list()) == TEAM_LIMIT
