"""`kefu serve --workers N` as people run it: one port, one cluster, one welcome."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from kefu.storage.embedded import Stores
from tests.server import People, Server, people_of, running
from tests.storage.kefu_process import is_alive, is_stopped, servers_of
from tests.talk import Talker
from tests.until import until

pytestmark = pytest.mark.timeout(150)

OPS_TOKEN = "an ops token of thirty-two bytes, at least"
WORKERS = ("--workers", "2")
CROWD = 60
BIG_CROWD = 400  # so many that a worker takes a while to send them away


def workers_of(server: Server) -> list[int]:
    """The process ids of the parent's children, oldest first."""
    pid = server.process.pid
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


async def cluster(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    headers = {"authorization": f"Bearer {OPS_TOKEN}"}
    answer = await client.get("/api/ops/cluster", headers=headers)
    instances: list[dict[str, Any]] = answer.json()["data"]["instances"]
    return instances


@asynccontextmanager
async def team(stores: Stores, database: str, **more: str) -> AsyncIterator[tuple[Server, People]]:
    variables = {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_OPS_TOKEN": OPS_TOKEN,
        **more,
    }
    async with (
        running(variables, arguments=WORKERS) as server,
        people_of(server, database) as people,
    ):
        yield server, people


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Every request on a connection of its own, so that any worker may answer."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, limits=limits) as client:
        yield client


async def test_workers_are_one_kefu_and_leave_in_order(
    stores: Stores, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "kefu.log"
    async with (
        team(stores, database, KEFU_LOG_FILE=str(file)) as (server, people),
        AsyncExitStack() as everybody,
    ):
        async with asking(server) as client:

            async def has_settled() -> bool:
                found = await cluster(client)
                return len(found) == 2 and min(each["slots"] for each in found) > 350

            await until(has_settled, within_s=40)
            assert "".join(server.said).count("is ready") == 1
            crowd = [
                await everybody.enter_async_context(people.connected(None)) for _ in range(CROWD)
            ]

            async def are_counted() -> bool:
                found = [each["connections"] for each in await cluster(client)]
                return sum(found) == CROWD and min(found) > CROWD / 6

            await until(are_counted)
        agent = await people.agent()
        desk = await everybody.enter_async_context(people.at_work(agent))
        for talker in crowd[:8]:  # on whichever worker they are, and wherever their chat lives
            await talk(talker, desk)
        workers = workers_of(server)
        assert len(workers) == 2
        server.process.send_signal(signal.SIGTERM)
        codes = [await code_of(talker) for talker in crowd]
        assert await server.stop() == 0
    assert set(codes) == {4012}
    assert not any(map(is_alive, workers))
    assert server.troubles == []
    written = {path.name async for path in anyio.Path(tmp_path).iterdir()}
    assert written == {"kefu.log", "kefu-1.log", "kefu-2.log"}


async def talk(customer: Talker, desk: Talker) -> None:
    chat_id = await customer.start()
    await customer.say("在吗")
    await customer.send("request_human", {})
    await desk.send("accept_chat", {"chat_id": chat_id})
    await customer.expect("chat_status", status="active")
    await desk.say("您好", chat_id=chat_id)
    await customer.expect("new_message", content="您好")
    await desk.send("end_chat", {"chat_id": chat_id})
    await customer.expect("chat_status", status="ended")


async def code_of(talker: Talker) -> int | None:
    try:
        await talker.expect("the end")
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None
    return None


async def test_a_worker_that_was_killed_comes_back(stores: Stores, database: str) -> None:
    async with team(stores, database) as (server, people), asking(server) as client:
        first, second = workers_of(server)
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(workers_of(server)) == 2 and first not in workers_of(server))

        async def are_two() -> bool:
            return len(await cluster(client)) == 2

        await until(are_two, within_s=20)
        async with people.connected(None) as customer:
            await customer.start()
            await customer.say("还在")
        assert second in workers_of(server)
        assert await server.stop() == 0


async def test_workers_that_die_again_and_again_end_it_all(stores: Stores, database: str) -> None:
    killed: Counter[int] = Counter()
    async with team(stores, database) as (server, _):

        async def kill_until_it_ends() -> None:
            while server.process.returncode is None:
                for pid in workers_of(server):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed[pid] += 1
                with anyio.move_on_after(0.2):
                    await server.process.wait()

        with anyio.fail_after(40):
            await kill_until_it_ends()
        assert server.process.returncode == 1
        said = "".join(server.said)
    assert "workers_die_too_often" in said
    assert 6 <= len(killed) <= 12


SLOW_TO_SPEAK_S = 0.3


class Knocker:
    """Asks for a socket on a new connection again and again, and counts how that went: 426 is
    "come in, but by WebSocket"."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.answers: Counter[str] = Counter()
        self._client = client

    async def knock(self) -> None:
        while True:
            try:
                answer = await self._client.get("/ws/chat")
                self.answers[str(answer.status_code)] += 1
            except httpx.TransportError as error:
                self.answers[type(error).__name__] += 1

    async def knock_and_ponder(self) -> None:
        """Like `knock`, on a slow line: a while passes between the connection and the request."""
        port = self._client.base_url.port
        assert port is not None
        while True:
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await anyio.sleep(SLOW_TO_SPEAK_S)
                try:
                    await stream.send(b"GET /ws/chat HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                    answer = await stream.receive()
                    self.answers[answer.split()[1].decode()] += 1
                except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
                    self.answers[type(error).__name__] += 1


async def test_all_workers_are_replaced_and_nobody_is_turned_away(
    stores: Stores, database: str
) -> None:
    async with (
        team(stores, database, KEFU_MAX_HANDSHAKES_PER_S="0") as (server, people),
        asking(server) as client,
    ):
        before = workers_of(server)
        knocker, token = Knocker(client), people.customer()
        async with (
            AsyncExitStack() as everybody,
            people.connected(token) as customer,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(BIG_CROWD):
                await everybody.enter_async_context(people.connected(None))
            chat_id = await customer.start()
            said = await customer.say("升级前")
            tasks.start_soon(knocker.knock)
            for _ in range(8):
                tasks.start_soon(knocker.knock_and_ponder)
            server.process.send_signal(signal.SIGHUP)
            await until(lambda: "".join(server.said).count("worker_replaced") == 2, within_s=60)
            assert await code_of(customer) == 4012
            tasks.cancel_scope.cancel()
        after = workers_of(server)
        assert len(after) == 2
        assert not set(before) & set(after)
        assert set(knocker.answers) == {"426"}, knocker.answers
        assert knocker.answers["426"] > 50
        async with people.connected(token) as customer:
            status = await customer.expect("chat_status", chat_id=chat_id)
            assert status["payload"]["last_seq"] >= said["seq"]
        assert await server.stop() == 0


async def test_nothing_is_left_of_it_when_the_parent_is_killed(data_dir: Path) -> None:
    async with running({"KEFU_DATA_DIR": str(data_dir)}, arguments=WORKERS) as server:
        workers = workers_of(server)
        assert servers_of(data_dir)
        await server.kill()
        await until(lambda: not any(map(is_alive, workers)), within_s=40)
        await until(lambda: is_stopped(data_dir), within_s=40)
