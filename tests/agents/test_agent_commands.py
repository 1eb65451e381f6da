"""`kefu agent reset-password` and `list`, beside a running server."""

import pytest

from kefu.audit.messages import OPERATOR
from kefu.storage.embedded import Stores
from tests.agents.office import GOOD, HERE, Office
from tests.test_cli import kefu

NEW = "staple battery 9"


@pytest.fixture
def deployment(office: Office, database: str, stores: Stores) -> dict[str, str]:
    """The variables of the office's deployment."""
    return {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_PUBLIC_URL": "https://kefu.example",
    }


async def test_a_reset_takes_the_password_away_and_prints_a_link(
    office: Office, deployment: dict[str, str]
) -> None:
    lin = await office.accounts.sign_in("lin", GOOD, HERE)
    answer = await kefu("agent", "reset-password", "lin", variables=deployment)
    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout.startswith("https://kefu.example/agent#link=")
    assert not await office.is_alive(lin.token)
    assert (await office.refusal("lin", GOOD)).code == "UNAUTHORIZED"
    (made, reset) = (await office.audit.page(limit=2)).entries
    assert (made.action, reset.action) == ("agent.link_made", "agent.password_reset")
    assert (reset.by_type, reset.by_name) == ("operator", "command line")
    assert answer.stdout.split("=")[1].strip() not in str((made, reset))


async def test_a_reset_reads_the_new_password_from_standard_input(
    office: Office, deployment: dict[str, str]
) -> None:
    words = ("agent", "reset-password", "lin", "--password-stdin")
    weak = await kefu(*words, variables=deployment, typed="password1\n")
    assert (weak.code, weak.stdout) == (1, "")
    assert "guessed" in weak.stderr
    answer = await kefu(*words, variables=deployment, typed=f"{NEW}\n")
    assert (answer.code, answer.stdout, answer.stderr) == (0, "", "")
    await office.accounts.sign_in("lin", NEW, HERE)


async def test_the_list_shows_skills_and_teams(office: Office, deployment: dict[str, str]) -> None:
    (lin,) = (await office.roster.list()).agents
    await office.roster.set_skills(OPERATOR, lin.id, ["退款", "english"])
    team = await office.teams.create(OPERATOR, "售后")
    await office.teams.set_members(OPERATOR, team.id, [lin.id])
    answer = await kefu("agent", "list", variables=deployment)
    (row,) = (line for line in answer.stdout.splitlines() if line.startswith("lin"))
    assert "退款, english" in row
    assert "售后" in row
