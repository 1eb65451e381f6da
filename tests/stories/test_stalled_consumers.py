"""Two hundred of a thousand people stop reading in the middle of talk; nobody else may notice.

The network in front of them fills, then what kefu keeps for them, then they are let go. How fast
the others are served meanwhile is for bench/stalled.py.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import anyio
import httpx
import pytest

from kefu.storage.embedded import Stores
from tests.correspondent import Correspondent
from tests.server import People, people_of, running
from tests.until import until

AGENTS = 40
CHATS_EACH = 24
SOCKETS = AGENTS * (1 + CHATS_EACH)
STALLED = 200
OWN_SOCKETS = 20  # those to its stores come and go meanwhile
MEMORY_MIB = 100
RECEIVE_BYTES = 4096
LONG_A_ROUND = 3
ROUNDS_MOST = 98  # a resume replays 300 messages exactly
LONG = "慢" * 3900
SHORT = "您好"
SEED = 1
FAST = {"KEFU_MAX_FRAME_RATE": "10000", "KEFU_MAX_FRAME_BURST": "100000"}
CLOSED = re.compile(r'^kefu_connections_closed_total\{code="4008"\} (\S+)$', re.MULTILINE)

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]


class Chat(NamedTuple):
    agent: Correspondent
    customer: Correspondent

    @property
    def id(self) -> UUID:
        (chat_id,) = self.customer.copies
        return chat_id

    def has(self, count: int) -> bool:
        """Whether that many messages are on both sides."""
        return all(person.copies[self.id].have == count for person in self)


async def open_chats(people: People, tasks: anyio.abc.TaskGroup) -> list[Chat]:
    url = f"{people.server.ws}/ws/chat"
    chats: list[Chat] = []
    for number in range(AGENTS):
        token = (await people.agent(max_sessions=CHATS_EACH)).token
        agent = Correspondent(url, token, f"agent-{number}", seed=SEED)
        for place in range(CHATS_EACH):
            name = f"customer-{number}-{place}"
            token = people.tokens.customer(name, ttl_s=3600)
            customer = Correspondent(url, token, name, seed=SEED, receive_bytes=RECEIVE_BYTES)
            chats.append(Chat(agent, customer))
    everybody = {person.name: person for chat in chats for person in chat}.values()
    assert len(everybody) == SOCKETS
    for person in everybody:
        tasks.start_soon(person.live)
    await until(lambda: all(person.resumed_at for person in everybody), within_s=60)
    for chat in chats:
        await chat.customer.send("start_chat")
    await until(lambda: all(chat.customer.copies for chat in chats), within_s=60)
    for chat in chats:
        await chat.agent.send("accept_chat", {"chat_id": chat.id})
    await until(lambda: all(chat.id in chat.agent.copies for chat in chats), within_s=60)
    return chats


class Process:
    """The server from outside."""

    def __init__(self, process_id: int, url: str) -> None:
        self._files = Path(f"/proc/{process_id}")
        self._url = url
        (self._files / "clear_refs").write_text("5")  # the peak is counted from here on
        self._rss_mib = self._mib("VmRSS")
        self._open_count = self._count_open()

    @property
    def grown_mib(self) -> float:
        """How much more memory it has had since, at the most."""
        return self._mib("VmHWM") - self._rss_mib

    @property
    def gone_count(self) -> int:
        """How many sockets fewer it holds."""
        return self._open_count - self._count_open()

    async def let_go_count(self) -> int:
        """How many it has given up as too slow."""
        async with httpx.AsyncClient() as client:
            found = CLOSED.search((await client.get(f"{self._url}/metrics")).text)
        return int(float(found[1])) if found else 0

    def _mib(self, kind: str) -> float:
        status = (self._files / "status").read_text()
        return int(status.partition(f"{kind}:")[2].split()[0]) / 1024

    def _count_open(self) -> int:
        return len(os.listdir(self._files / "fd"))


async def test_two_hundred_stalled_consumers_cost_little_and_lose_nothing(
    stores: Stores, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {**FAST, "KEFU_DATABASE_URL": database, "KEFU_REDIS_URL": stores.redis_url}
    async with (
        running(variables) as server,
        people_of(server, database) as people,
        anyio.create_task_group() as tasks,
    ):
        chats = await open_chats(people, tasks)
        stalled, healthy = divided(chats)
        for chat in chats:
            chat.agent.say(chat.id, LONG)
        await until(lambda: all(chat.has(1) for chat in chats), within_s=30)

        process = Process(server.process.pid, server.url)
        for chat in stalled:
            chat.customer.stall()
        rounds = await talk_until_all_are_let_go(stalled, healthy, process)
        with capsys.disabled():
            figures = f"{STALLED} of {SOCKETS} stalled for {rounds} rounds"
            print(f"\n{figures}: memory +{process.grown_mib:.0f} MiB")  # noqa: T201
        assert process.grown_mib <= MEMORY_MIB
        await until(lambda: process.gone_count >= STALLED - OWN_SOCKETS, within_s=30)

        for chat in stalled:
            chat.customer.read_on()
        until_whole = [(chat, 1 + rounds * LONG_A_ROUND) for chat in stalled]
        until_whole += [(chat, 1 + rounds) for chat in healthy]
        await until(lambda: all(chat.has(count) for chat, count in until_whole), within_s=60)
        for chat in chats:
            assert chat.agent.whole(chat.id) == chat.customer.whole(chat.id)
        for chat in stalled:
            assert chat.customer.connection_count == 2
            assert set(chat.customer.close_codes) <= {4008, 1006}
            assert chat.agent.connection_count == 1
        for chat in healthy:
            assert chat.customer.connection_count == 1
        assert server.troubles == []
        tasks.cancel_scope.cancel()


def divided(chats: list[Chat]) -> tuple[list[Chat], list[Chat]]:
    """The stalled and the healthy: some of each at every agent."""
    numbered = [
        (number % CHATS_EACH < STALLED // AGENTS, each) for number, each in enumerate(chats)
    ]
    stalled = [chat for is_stalled, chat in numbered if is_stalled]
    assert len(stalled) == STALLED
    return stalled, [chat for is_stalled, chat in numbered if not is_stalled]


async def talk_until_all_are_let_go(
    stalled: list[Chat], healthy: list[Chat], process: Process
) -> int:
    """Round after round to everybody, the long messages to the stalled; how many rounds it took.

    Every round reaches the healthy before the next is said.
    """
    for rounds in range(1, ROUNDS_MOST):
        for chat in stalled:
            for _ in range(LONG_A_ROUND):
                chat.agent.say(chat.id, LONG)
        for chat in healthy:
            chat.agent.say(chat.id, SHORT)
        heard = 1 + rounds
        await until(lambda heard=heard: all(chat.has(heard) for chat in healthy), within_s=30)
        if await process.let_go_count() == STALLED:
            return rounds
    raise AssertionError(f"{await process.let_go_count()} of {STALLED} were let go")
