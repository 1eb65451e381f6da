"""The script that walks a running kefu: it finds twelve of twelve, and says what does not hold."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import uvicorn

from kefu.agents.routes import sign_in_routes
from tests.agents.office import GOOD
from tests.facade.house import House
from tests.until import until

SCRIPT = Path(__file__).parents[1] / "regression_test.sh"
CHECKS = [
    "health",
    "sync chat",
    "session isolation",
    "escalate",
    "blocked",
    "takeover",
    "agent message",
    "release",
    "list",
    "stats",
    "VIP filter",
    "keyword",
]


@asynccontextmanager
async def served(house: House) -> AsyncIterator[str]:
    """The house on a real port."""
    house.app.router.routes += sign_in_routes(house.office.accounts)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(house.app, lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            await until(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True


async def walk(url: str, **variables: str) -> tuple[int, list[str]]:
    """The script's exit code and what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KEFU")}
    done = await anyio.run_process(
        [str(SCRIPT), url],
        env=clean | {"no_proxy": "*", "KEFU": "/nowhere"} | variables,
        check=False,
    )
    return done.returncode, done.stdout.decode().splitlines()


@pytest.fixture
async def url(house: House) -> AsyncIterator[str]:
    house.calls_per_minute = 6000
    await house.office.create("lin", "Lin", password=GOOD)
    async with served(house) as url:
        yield url


async def test_all_twelve_hold(house: House, url: str) -> None:
    vip = house.token("vip-1", vip=True)["authorization"].removeprefix("Bearer ")
    code, lines = await walk(
        url, KEFU_AGENT_USERNAME="lin", KEFU_AGENT_PASSWORD=GOOD, KEFU_VIP_TOKEN=vip
    )
    assert lines == [*(f"ok    {name}" for name in CHECKS), "12/12"]
    assert code == 0


async def test_a_link_serves_as_well_and_what_fails_is_named(house: House, url: str) -> None:
    assert house.bot is not None
    house.bot.outcome = "failed"
    link = await house.office.make_link("lin")
    code, lines = await walk(url, KEFU_AGENT_LINK=f"{url}/agent#link={link}")
    assert code == 1
    failed = [line for line in lines if line.startswith("FAIL")]
    assert failed[0].startswith("FAIL  sync chat: HTTP 200")
    assert lines[-1] == f"{12 - len(failed)}/12"


async def test_without_an_agent_it_says_so(url: str) -> None:
    code, lines = await walk(url, KEFU_AGENT_USERNAME="lin", KEFU_AGENT_PASSWORD="wrong")
    assert code == 2
    assert lines[0].startswith("No agent could sign in: HTTP 401")
