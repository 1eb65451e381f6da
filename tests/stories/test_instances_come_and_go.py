"""Two `kefu serve` on one data directory are one kefu; either may be drained, the other goes on."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from kefu.storage.embedded import Stores, open_embedded
from tests.server import People, Server, people_of, running
from tests.storage.kefu_process import is_stopped, servers_of
from tests.talk import Talker
from tests.test_cli import Answer, kefu
from tests.until import until

pytestmark = pytest.mark.timeout(150)

OPS_TOKEN = "an ops token of thirty-two bytes, at least"


class Two(NamedTuple):
    """Two instances, and the people as they come to each."""

    left: Server
    right: Server
    by_left: People
    by_right: People
    variables: dict[str, str]


def name_of(server: Server) -> str:
    return f"{socket.gethostname()}:{server.process.pid}"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def two(variables: dict[str, str], database: str) -> AsyncIterator[Two]:
    variables = {**variables, "KEFU_OPS_TOKEN": OPS_TOKEN}
    async with (
        running(variables) as left,
        running(variables) as right,
        people_of(left, database) as by_left,
        people_of(right, database) as by_right,
    ):
        await until(lambda: is_shared(right), within_s=40)
        yield Two(left, right, by_left, by_right, variables)


async def ask(server: Server, method: str, path: str, token: str, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        return await client.request(method, path, headers=bearer(token), **more)


async def instances(server: Server) -> dict[str, dict[str, Any]]:
    answer = await ask(server, "GET", "/api/ops/cluster", OPS_TOKEN)
    return {each["name"]: each for each in answer.json()["data"]["instances"]}


async def is_shared(server: Server) -> bool:
    """Whether both own about half of the slots."""
    found = (await instances(server)).values()
    return len(found) == 2 and all(each["slots"] > 350 for each in found)


@pytest.fixture
def variables(stores: Stores, database: str) -> dict[str, str]:
    return {"KEFU_DATABASE_URL": database, "KEFU_REDIS_URL": stores.redis_url}


async def serve_one(customer: Talker, desk: Talker) -> str:
    """A chat from its start to the agent's first word."""
    chat_id = await customer.start()
    await customer.say("在吗")
    await customer.send("request_human", {})
    await desk.send("accept_chat", {"chat_id": chat_id})
    await customer.expect("chat_status", status="active")
    await desk.say("您好", chat_id=chat_id)
    await customer.expect("new_message", content="您好")
    return chat_id


async def test_two_on_one_data_directory_are_one_and_the_stores_stop_with_the_last(
    data_dir: Path,
) -> None:
    async with open_embedded(data_dir, on_progress=lambda words: None) as stores:
        database = stores.database_url
    async with two({"KEFU_DATA_DIR": str(data_dir)}, database) as both:
        agent, token = await both.by_right.agent(), both.by_left.customer()
        async with both.by_right.at_work(agent) as desk:
            async with both.by_left.connected(token) as customer:
                chat_id = await serve_one(customer, desk)
                await both.left.stop()
            assert both.left.process.returncode == 0
            assert servers_of(data_dir), "the stores are still needed"
            async with both.by_right.connected(token) as customer:
                status = (await customer.expect("chat_status", chat_id=chat_id))["payload"]
                assert (status["status"], status["last_seq"]) == ("active", 2)
                await customer.say("我回来了")
                await desk.expect("new_message", content="我回来了")
        assert await both.right.stop() == 0
        assert is_stopped(data_dir)


async def drain(both: Two, *arguments: str) -> Answer:
    return await kefu("drain", *arguments, variables=both.variables)


async def test_a_drained_instance_passes_its_chats_on_and_ends(
    variables: dict[str, str], database: str
) -> None:
    async with two(variables, database) as both:
        agent, token = await both.by_right.agent(), both.by_left.customer()
        async with (
            both.by_right.at_work(agent) as desk,
            both.by_left.connected(token) as customer,
        ):
            chat_id = await serve_one(customer, desk)
            answer = await drain(both, "--instance", name_of(both.left))
            assert (answer.code, answer.stdout) == (0, f"{name_of(both.left)} has left.\n")
            assert "slots and" in answer.stderr
            with pytest.raises(ConnectionClosed):
                await customer.expect("the end")
            with anyio.fail_after(15):
                assert await both.left.process.wait() == 0
            assert both.left.troubles == []
            async with both.by_right.connected(token) as again:
                status = (await again.expect("chat_status", chat_id=chat_id))["payload"]
                assert (status["status"], status["last_seq"]) == ("active", 2)
                await again.say("还是您吗")
                await desk.expect("new_message", content="还是您吗")

        async def is_alone() -> bool:
            found = await instances(both.right)
            return [(name, each["slots"]) for name, each in found.items()] == [
                (name_of(both.right), 1024)
            ]

        await until(is_alone)
        admin = await both.by_right.agent(role="admin")
        page = (await ask(both.right, "GET", "/api/audit", admin.token)).json()["data"]
        (entry,) = [each for each in page["entries"] if each["action"] == "instance.drained"]
        assert (entry["by_type"], entry["subject_id"]) == ("operator", name_of(both.left))


async def test_who_is_meant_must_be_clear(variables: dict[str, str], database: str) -> None:
    async with two(variables, database) as both:
        nobody = await drain(both, "--instance", "nobody:1")
        anybody = await drain(both)
        assert (nobody.code, anybody.code) == (1, 1)
        for answer in (nobody, anybody):
            assert name_of(both.left) in answer.stderr
            assert name_of(both.right) in answer.stderr
            assert answer.stderr.count("\n") == 1
        assert len(await instances(both.left)) == 2
        unknown = await ask(
            both.left, "POST", "/api/ops/drain", OPS_TOKEN, json={"instance": "nobody:1"}
        )
        assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")


async def test_over_http_any_instance_sends_any_away_for_an_administrator(
    variables: dict[str, str], database: str
) -> None:
    async with two(variables, database) as both:
        boss, admin = [await both.by_left.agent(role=role) for role in ("supervisor", "admin")]
        seen = await ask(both.left, "GET", "/api/ops/cluster", boss.token)
        tokens = ("x", both.by_left.customer(), boss.token)
        refused = [await ask(both.left, "POST", "/api/ops/drain", each) for each in tokens]
        assert seen.status_code == 200
        assert [each.status_code for each in refused] == [401, 401, 403]
        told = await ask(
            both.left, "POST", "/api/ops/drain", admin.token, json={"instance": name_of(both.right)}
        )
        assert (told.status_code, told.json()["data"]) == (202, {"instance": name_of(both.right)})
        with anyio.fail_after(15):
            assert await both.right.process.wait() == 0
        himself = await ask(both.left, "POST", "/api/ops/drain", OPS_TOKEN)
        assert himself.json()["data"] == {"instance": name_of(both.left)}
        with anyio.fail_after(15):
            assert await both.left.process.wait() == 0


async def test_a_drained_worker_is_not_replaced_and_the_last_one_ends_it(
    variables: dict[str, str],
) -> None:
    async with running(variables, arguments=("--workers", "2")) as server:

        async def drain_one() -> str:
            answer = await kefu("drain", variables=variables)
            names = answer.stderr.rpartition(": ")[2].split(", ") if answer.code else []
            if names:
                answer = await kefu("drain", "--instance", names[0].strip(), variables=variables)
            assert answer.code == 0, answer.stderr
            return answer.stdout

        first, second = await drain_one(), await drain_one()
        assert first != second
        with anyio.fail_after(15):
            assert await server.process.wait() == 0
        assert "".join(server.said).count("worker_left") == 2
