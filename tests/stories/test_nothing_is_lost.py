"""The real server with its own stores, killed and stopped in the middle of talk."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from websockets.exceptions import ConnectionClosed

from tests.server import People, Server, people_at, running
from tests.storage.kefu_process import all_gone, servers_of
from tests.talk import Talker
from tests.until import until

pytestmark = pytest.mark.timeout(180)

MESSAGES = 100
AHEAD = 16
FAST = {"KEFU_MAX_FRAME_RATE": "10000", "KEFU_MAX_FRAME_BURST": "10000"}


@asynccontextmanager
async def shop(data: Path) -> AsyncIterator[tuple[Server, People]]:
    """`kefu serve` on this data directory, and who talks there."""
    async with (
        running(FAST, arguments=("--data-dir", str(data))) as server,
        people_at(server, data) as people,
    ):
        yield server, people


class Speaker:
    """Says 1, 2, 3 ... each under a key of its own, and notes what was acknowledged."""

    def __init__(self, name: str, *, on_ack: Callable[[int], None] = lambda count: None) -> None:
        self.acked: dict[str, int] = {}
        self.contents = [f"{name} {number}" for number in range(MESSAGES)]
        self._on_ack = on_ack

    async def stream(self, talker: Talker, chat_id: str) -> None:
        """Say what was not acknowledged yet, some ahead of the answers, until the end."""
        unsaid = [content for content in self.contents if content not in self.acked]
        ahead = 0
        with anyio.fail_after(60), suppress(ConnectionClosed):
            while len(self.acked) < MESSAGES:
                while unsaid and ahead < AHEAD:
                    content = unsaid.pop(0)
                    payload = {"content": content, "client_message_id": content}
                    await talker.send("send_message", {"chat_id": chat_id, **payload})
                    ahead += 1
                frame = await talker.next()
                if frame["type"] == "message_ack":
                    ahead -= 1
                    self._note(frame["payload"]["client_message_id"], frame["payload"]["seq"])

    def _note(self, key: str, seq: int) -> None:
        assert self.acked.setdefault(key, seq) == seq, "one key has one seq for ever"
        self._on_ack(len(self.acked))


async def replayed(talker: Talker, chat_id: str) -> list[dict[str, Any]]:
    await talker.send("resume", {"chat_id": chat_id, "last_seq": 0})
    frames = await talker.settle()
    return [frame["payload"] for frame in frames if frame["type"] == "new_message"]


async def test_killed_in_the_middle_of_talk_it_loses_nothing_it_acknowledged(
    data_dir: Path,
) -> None:
    async with shop(data_dir) as (server, people):

        def kill_in_the_middle(acked_count: int) -> None:
            if acked_count == MESSAGES // 2 and server.process.returncode is None:
                server.process.kill()

        customer, agent = Speaker("客", on_ack=kill_in_the_middle), Speaker("服")
        desk_token, token = await people.agent(), people.customer()
        async with people.connected(token) as one, people.connected(desk_token.token) as other:
            chat_id = await one.start()
            await other.send("accept_chat", {"chat_id": chat_id})
            await one.expect("chat_status", status="active")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(customer.stream, one, chat_id)
                tasks.start_soon(agent.stream, other, chat_id)
        await server.process.wait()
        assert len(customer.acked) < MESSAGES
        assert len(agent.acked) < MESSAGES
    await until(lambda: servers_of(data_dir) == [], within_s=5)

    acked = customer.acked | agent.acked
    async with shop(data_dir) as (again, people):
        async with people.connected(token) as one, people.connected(desk_token.token) as other:
            assert (await one.next())["payload"]["chat_id"] == chat_id
            before = {m["client_message_id"]: m["seq"] for m in await replayed(one, chat_id)}
            assert acked.items() <= before.items()
            await customer.stream(one, chat_id)
            await agent.stream(other, chat_id)
        async with people.connected(token) as one:
            messages = await replayed(one, chat_id)

        assert [message["seq"] for message in messages] == list(range(1, 2 * MESSAGES + 1))
        for speaker in (customer, agent):
            said = [m["content"] for m in messages if m["content"] in speaker.contents]
            assert said == speaker.contents, "each once, in the order they were said"
        assert acked.items() <= (customer.acked | agent.acked).items()
        assert await again.stop() == 0
    await until(lambda: all_gone(data_dir), within_s=5)


async def test_stopped_by_ctrl_c_it_says_so_and_the_chat_is_there_the_next_time(
    data_dir: Path,
) -> None:
    async with shop(data_dir) as (server, people):
        token = people.customer()
        async with people.connected(token) as customer:
            chat_id = await customer.start()
            await customer.say("在吗")
            server.process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as closed:
                await customer.expect("the end")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4012
        assert await server.stop() == 0
        assert "Traceback" not in "".join(server.said)
    await until(lambda: all_gone(data_dir), within_s=5)

    async with shop(data_dir) as (_, people), people.connected(token) as customer:
        status = await customer.next()
        assert (status["payload"]["chat_id"], status["payload"]["last_seq"]) == (chat_id, 1)


async def test_a_second_ctrl_c_waits_for_nobody(own_server: Server) -> None:
    host, port = own_server.url.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as slow:
        await slow.send(b"POST /api/agent/login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        own_server.process.send_signal(signal.SIGINT)
        await until(lambda: is_refused(own_server))
        assert own_server.process.returncode is None, "it waits for the one who is slow"
        with anyio.fail_after(5):
            assert await own_server.stop() == 0


async def is_refused(server: Server) -> bool:
    host, port = server.url.removeprefix("http://").split(":")
    try:
        async with await anyio.connect_tcp(host, int(port)):
            return False
    except OSError:
        return True
