"""The `kefu` command as people run it: a process, its words and its exit code."""

import json
import os
import subprocess
import sys
import tomllib
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from redis.asyncio import Redis

from kefu import __version__
from kefu.cli.program import run
from kefu.gateway import listeners
from kefu.settings import ALIASES
from kefu.storage.database import DatabasePool
from kefu.storage.embedded import Stores, open_embedded
from tests.laws.sources import ROOT
from tests.stack import set_fsync

PASSWORD = "correct-Horse-7"
DEADLINE_S = 50


class Answer(NamedTuple):
    code: int
    stdout: str
    stderr: str


async def kefu(
    *arguments: str, variables: Mapping[str, str] | None = None, typed: str = "", at: Path = ROOT
) -> Answer:
    """Run the command in a process of its own, without this machine's settings."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KEFU_") and k not in ALIASES}
    with anyio.fail_after(DEADLINE_S):
        done = await anyio.run_process(
            [sys.executable, "-m", "kefu", *arguments],
            env={**clean, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **(variables or {})},
            input=typed.encode(),
            cwd=at,
            check=False,
        )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def deployment(database: str, stores: Stores) -> dict[str, str]:
    """The variables of a deployment with its own empty database."""
    return {"KEFU_DATABASE_URL": database, "KEFU_REDIS_URL": stores.redis_url}


@pytest.fixture
async def durable(stores: Stores) -> AsyncIterator[None]:
    """As a deployment is; other tests are spared the wait."""
    await set_fsync(stores, "on")
    yield
    await set_fsync(stores, "off")


async def test_the_version_is_told() -> None:
    for option in ("--version", "-V"):
        assert (await kefu(option)).stdout == f"kefu {__version__}\n"


def test_the_version_is_told_without_loading_the_program() -> None:
    asked = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kefu", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=DEADLINE_S,
    )
    loaded = {line.rpartition("|")[2].strip() for line in asked.stderr.splitlines()}
    assert "kefu.cli" in loaded
    assert not loaded & {"typer", "rich", "msgspec", "asyncpg", "starlette", "kefu.cli.program"}


def test_the_installed_command_is_the_same_program() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["scripts"] == {"kefu": "kefu.cli:main"}


async def test_every_command_explains_itself() -> None:
    for words in (
        [],
        ["serve"],
        ["agent", "create"],
        ["token", "customer"],
        ["db"],
        ["doctor"],
        ["drain"],
    ):
        answer = await kefu(*words, "--help")
        assert answer.code == 0
        assert "Usage: kefu" in answer.stdout


async def test_a_wrong_setting_stops_a_command_with_one_line(tmp_path: Path) -> None:
    for words in (["serve"], ["agent", "list"], ["db", "status"]):
        answer = await kefu(*words, variables={"KEFU_PROT": "1"}, at=tmp_path)
        assert answer.code == 1
        assert answer.stdout == ""
        assert answer.stderr == (
            "kefu: KEFU_PROT in the environment is no setting of kefu; did you mean KEFU_PORT?\n"
        )
    assert [path async for path in anyio.Path(tmp_path).iterdir()] == []


async def test_workers_that_cannot_start_say_why_once(deployment: dict[str, str]) -> None:
    nowhere = "postgresql://127.0.0.1:1/kefu"
    answer = await kefu(
        *("serve", "--workers", "3", "--port", "0"),
        variables={**deployment, "KEFU_DATABASE_URL": nowhere},
    )
    assert (answer.code, answer.stdout) == (1, "")
    assert answer.stderr == "kefu: The database cannot be reached.\n"


async def test_a_port_that_workers_share_is_not_shared_with_others(
    deployment: dict[str, str],
) -> None:
    for taken in listeners.bind_many("127.0.0.1", 0, 2):
        port = taken.getsockname()[1]
        with taken:
            answer = await kefu(
                *("serve", "--workers", "2", "--port", str(port)), variables=deployment
            )
        assert answer.code == 1
        assert f"Port {port} on 127.0.0.1 cannot be used" in answer.stderr


async def test_nobody_is_there_to_be_drained(deployment: dict[str, str]) -> None:
    answer = await kefu("drain", variables=deployment)
    assert (answer.code, answer.stdout) == (1, "")
    assert answer.stderr == "kefu: No such instance lives; these do: none.\n"


async def test_debug_shows_the_trace() -> None:
    answer = await kefu("--debug", "serve", variables={"KEFU_PORT": "none"})
    assert answer.code == 1
    assert "Traceback" in answer.stderr
    assert "SettingsError" in answer.stderr


def test_a_bug_is_one_line_that_points_to_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr("kefu.cli.config.show", broken)
    assert run(["config", "check"]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("kefu: unexpected RuntimeError at ")
    assert "--debug" in complaint
    assert "canary" not in complaint


async def test_config_check_shows_every_setting_and_its_source(tmp_path: Path) -> None:
    (tmp_path / "kefu.toml").write_text("max_connections = 77\n", encoding="utf-8")
    env_file = tmp_path / "env"
    env_file.write_text("KEFU_JWT_SECRET=canary-canary-canary-canary-canary\n", encoding="utf-8")
    answer = await kefu("config", "check", "--env-file", str(env_file), at=tmp_path)
    assert answer.code == 0
    lines = {line.split()[0]: line.split()[1:3] for line in answer.stdout.splitlines() if line}
    assert lines["KEFU_MAX_CONNECTIONS"] == ["77", "kefu.toml"]
    assert lines["KEFU_JWT_SECRET"][0] == "***"
    assert lines["KEFU_PORT"] == ["8000", "default"]
    assert "canary" not in answer.stdout


async def test_config_check_tells_every_mistake_at_once() -> None:
    answer = await kefu("config", "check", variables={"KEFU_PORT": "x", "KEFU_DEMO": "x"})
    assert answer.code == 1
    wrong = [line for line in answer.stdout.splitlines() if line.startswith("wrong: ")]
    assert len(wrong) == 2


async def test_an_agent_is_made_and_listed(deployment: dict[str, str]) -> None:
    made = await kefu(
        *("agent", "create", "--username", "zhang", "--name", "张三", "--role", "admin"),
        *("--password-stdin", "--max-sessions", "7"),
        variables=deployment,
        typed=f"{PASSWORD}\n",
    )
    assert (made.code, made.stderr) == (0, "")
    assert "#link=" not in made.stdout
    listed = await kefu("agent", "list", variables=deployment)
    (row,) = (line for line in listed.stdout.splitlines() if "zhang" in line)
    assert row.split() == ["zhang", "张三", "admin", "7", "yes", "never"]
    assert PASSWORD not in made.stdout + listed.stdout


async def test_an_agent_without_a_password_enters_by_a_link(deployment: dict[str, str]) -> None:
    variables = {**deployment, "KEFU_PUBLIC_URL": "https://kefu.example/"}
    made = await kefu("agent", "create", "--username", "li", "--name", "李四", variables=variables)
    again = await kefu("agent", "link", "li", variables=variables)
    links = [made.stdout.splitlines()[-1], again.stdout.strip()]
    assert all(link.startswith("https://kefu.example/agent#link=") for link in links)
    assert links[0] != links[1]


@pytest.mark.parametrize(
    ("words", "typed", "says"),
    [
        (["agent", "link", "nobody"], "", "no active agent"),
        (["agent", "create", "--username", "a", "--name", "A", "--password-stdin"], "", "No pass"),
        (["agent", "create", "--username", "a", "--name", "A", "--password-stdin"], "short\n", "8"),
        (["agent", "create", "--username", "a b", "--name", "A"], "", "username"),
        (["token", "customer", "--sub", "s" * 129], "", "customer token"),
    ],
)
async def test_a_refused_command_says_why_in_one_line(
    deployment: dict[str, str], words: list[str], typed: str, says: str
) -> None:
    answer = await kefu(*words, variables=deployment, typed=typed)
    assert answer.code == 1
    assert answer.stdout == ""
    assert answer.stderr.count("\n") == 1
    assert says in answer.stderr


async def test_a_customers_token_is_the_only_word_of_the_answer(deployment: dict[str, str]) -> None:
    answer = await kefu("token", "customer", "--sub", "u-1", "--vip", variables=deployment)
    claims = answer.stdout.strip().split(".")[1]
    decoded = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert (decoded["sub"], decoded["vip"]) == ("u-1", True)
    assert answer.stderr == ""


async def test_the_schema_is_shown_then_applied_then_current(tmp_path: Path) -> None:
    directory = str(tmp_path / "d")
    before = await kefu("db", "status", "--data-dir", directory)
    assert before.code == 1
    assert "no" in before.stdout.splitlines()[1].split()
    assert "Applied" in (await kefu("db", "upgrade", "--data-dir", directory)).stdout
    after = await kefu("db", "status", "--data-dir", directory)
    assert after.code == 0
    assert (
        await kefu("db", "upgrade", "--data-dir", directory)
    ).stdout == "The schema is current.\n"


def verdicts(answer: Answer) -> dict[str, str]:
    rows = [line for line in answer.stdout.splitlines()[1:] if line.strip()]
    return {line[:14].strip(): line[14:].split()[0] for line in rows}


@pytest.mark.usefixtures("durable")
async def test_a_healthy_deployment_passes_the_doctor(deployment: dict[str, str]) -> None:
    answer = await kefu("doctor", variables={**deployment, "KEFU_MAX_CONNECTIONS": "100"})
    assert answer.code == 0
    assert "fail" not in verdicts(answer).values()
    assert {"settings", "postgresql", "schema", "clock", "redis"} <= set(verdicts(answer))


async def test_the_doctor_goes_on_after_a_failed_check(deployment: dict[str, str]) -> None:
    nowhere = "postgresql://127.0.0.1:1/kefu"
    answer = await kefu("doctor", variables={**deployment, "KEFU_DATABASE_URL": nowhere})
    assert answer.code == 1
    assert "KEFU_DATABASE_URL" in answer.stdout
    assert verdicts(answer)["postgresql"] == "fail"
    assert verdicts(answer)["redis"] == "ok"


async def test_the_doctor_sees_stores_that_can_lose_things(
    deployment: dict[str, str], pool: DatabasePool, redis: Redis
) -> None:
    name = await pool.fetchval("SELECT current_database()")
    await pool.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await pool.execute("DROP TABLE schema_migrations")
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        answer = await kefu("doctor", variables=deployment)
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")
    assert answer.code == 1
    found = verdicts(answer)
    assert (found["durability"], found["redis policy"]) == ("fail", "fail")
    assert found["schema"] == "warn"


async def test_the_doctor_says_what_is_wrong_with_the_settings() -> None:
    answer = await kefu("doctor", variables={"KEFU_PORT": "x"})
    assert answer.code == 1
    assert "a whole number" in answer.stdout


async def test_commands_work_beside_a_running_server(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    async with open_embedded(directory, on_progress=lambda _: None):
        answer = await kefu("doctor", "--data-dir", str(directory))
    assert answer.code == 0, answer.stderr
    assert answer.stderr == ""
