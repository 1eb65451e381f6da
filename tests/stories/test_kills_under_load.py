"""kill -9 of the real server, again and again, while fifty pairs write 200 messages a second.

PostgreSQL and Valkey go with it each time, as they do for whoever runs `kefu serve`. What is due is
said whether or not there is a server. KEFU_KILLS sets how often (`make soak`: 50).
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import UUID

import anyio
import asyncpg
import pytest

from kefu.storage.embedded import open_embedded
from tests.correspondent import Correspondent, Said
from tests.server import People, Server, people_at, running
from tests.until import until

KILLS = int(os.environ.get("KEFU_KILLS", "5"))
SEED = 1
PAIRS = 50
EVERY_S = 0.5  # each of a pair
PHASES = 5  # how many moments of it: many press Enter at once, so a kill finds much under way
ALIVE_S = (1.0, 3.0)
BACK_WITHIN_S = 30.0
RESUMED_P99_S = 5.0

pytestmark = [pytest.mark.alone, pytest.mark.timeout(90 + 25 * KILLS)]

MESSAGES = """
    SELECT seq, message_id, client_message_id, content
    FROM chat_messages WHERE chat_id = $1 ORDER BY seq
"""


class Pair(NamedTuple):
    customer: Correspondent
    agent: Correspondent

    @property
    def chat_id(self) -> UUID:
        (chat_id,) = self.customer.copies
        return chat_id

    @property
    def is_settled(self) -> bool:
        """Whether all that was said is acknowledged, and here on both sides."""
        said = len(self.customer.letters) + len(self.agent.letters)
        return all(
            person.unacked_count == 0 and person.copies[self.chat_id].have == said
            for person in self
        )


class Lives:
    """One server after another on the same port and data, and how long people were without."""

    def __init__(self, data: Path) -> None:
        self.url = ""
        self.restart_s: list[float] = []
        self.from_kill_s: list[float] = []
        self.from_ready_s: list[float] = []
        self._data = data
        self._victim: Server | None = None
        self._killed_at = 0.0

    @asynccontextmanager
    async def next(self) -> AsyncIterator[Server]:
        port = int(self.url.rpartition(":")[2] or 0)
        async with running({}, port=port, arguments=("--data-dir", str(self._data))) as server:
            self.url = server.url
            yield server
        assert server.troubles == []

    async def kill(self, server: Server) -> None:
        """With the next acknowledgement: others are on their way then."""
        self._victim = server
        with anyio.fail_after(BACK_WITHIN_S):
            await server.process.wait()

    def acknowledged(self) -> None:
        if self._victim is not None:
            self._victim.process.kill()
            self._victim, self._killed_at = None, anyio.current_time()

    async def all_back(self, people: Sequence[Correspondent]) -> None:
        """Wait until everybody has resumed, and note how long each was without."""
        ready_at = anyio.current_time()
        await until(
            lambda: all(person.resumed_at > self._killed_at for person in people),
            within_s=BACK_WITHIN_S,
        )
        self.restart_s.append(ready_at - self._killed_at)
        self.from_kill_s += [person.resumed_at - self._killed_at for person in people]
        self.from_ready_s += [max(0.0, person.resumed_at - ready_at) for person in people]


async def meet(people: People, lives: Lives, tasks: anyio.abc.TaskGroup) -> list[Pair]:
    """Pairs that are connected and have a chat of their own."""
    url, pairs = f"{people.server.ws}/ws/chat", []
    for number in range(PAIRS):
        token = people.tokens.customer(f"customer-{number}", ttl_s=86_400)
        agent = await people.agent(f"agent-{number}")
        customer, desk = (
            Correspondent(url, each, name, seed=SEED, on_ack=lives.acknowledged)
            for each, name in ((token, f"~c{number}~"), (agent.token, f"~a{number}~"))
        )
        pairs.append(Pair(customer, desk))
        tasks.start_soon(customer.live)
        tasks.start_soon(desk.live)
    everybody = [person for pair in pairs for person in pair]
    await until(lambda: all(person.resumed_at for person in everybody), within_s=30)
    for pair in pairs:
        await pair.customer.send("start_chat")
    await until(lambda: all(pair.customer.copies for pair in pairs), within_s=30)
    for pair in pairs:
        await pair.agent.send("accept_chat", {"chat_id": pair.chat_id})
    await until(lambda: all(pair.agent.copies for pair in pairs), within_s=30)
    return pairs


async def write(person: Correspondent, chat_id: UUID, due: float, end: anyio.Event) -> None:
    """Open loop: what is due is said, whether or not anybody listens."""
    await anyio.sleep_until(due)
    while not end.is_set():
        person.say(chat_id, f"{person.name} {len(person.letters)}: 您好，请问什么时候发货？")
        due += EVERY_S
        await anyio.sleep_until(due)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def shown(name: str, values: Sequence[float]) -> str:
    figures = [f"p{share:.0%} {percentile(values, share):.2f}" for share in (0.5, 0.9, 0.99)]
    return f"{name}, s: {', '.join(figures)}, max {max(values):.2f}".replace("%", "")


async def test_what_was_acknowledged_survives_kill_after_kill_under_load(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random, lives, end = Random(SEED), Lives(data_dir), anyio.Event()
    async with anyio.create_task_group() as tasks:
        async with lives.next() as server:
            async with people_at(server, data_dir) as people:
                pairs = await meet(people, lives, tasks)
            everybody = [person for pair in pairs for person in pair]
            start = anyio.current_time()
            for number, person in enumerate(everybody):
                due = start + number % PHASES * EVERY_S / PHASES
                tasks.start_soon(write, person, pairs[number // 2].chat_id, due, end)
            await anyio.sleep(random.uniform(*ALIVE_S))
            await lives.kill(server)
        for kills_left in range(KILLS - 1, -1, -1):
            async with lives.next() as server:
                await lives.all_back(everybody)
                await anyio.sleep(random.uniform(*ALIVE_S))
                if kills_left:
                    await lives.kill(server)
                else:
                    end.set()
                    await until(lambda: all(pair.is_settled for pair in pairs), within_s=30)
                    took_s = anyio.current_time() - start
                    assert await server.stop() == 0
        tasks.cancel_scope.cancel()
    await compare_with_database(data_dir, pairs)
    count = sum(len(person.letters) for person in everybody)
    with capsys.disabled():
        lines = [
            f"{KILLS} kills, {count} messages, {count / took_s:.0f}/s, each there once",
            shown("from the kill until the server was ready", lives.restart_s),
            shown("from the kill until resumed", lives.from_kill_s),
            shown("from ready until resumed", lives.from_ready_s),
        ]
        print("", *lines, sep="\n")  # noqa: T201 - the figures are half of what this is for
    assert percentile(lives.from_kill_s, 0.99) < RESUMED_P99_S


async def compare_with_database(data: Path, pairs: Sequence[Pair]) -> None:
    """Nothing was lost, doubled, reordered or overheard: the store and both sides say the same."""
    async with open_embedded(data, on_progress=lambda words: None) as stores:
        connection = await asyncpg.connect(stores.database_url)
        for pair in pairs:
            rows = await connection.fetch(MESSAGES, pair.chat_id)
            compare(pair, [tuple(row) for row in rows])
        await connection.close()


def compare(pair: Pair, rows: Sequence[tuple[int, UUID, str, str]]) -> None:
    stored = [Said(*row[1:]) for row in rows]
    seq_by_key = {key: seq for seq, _, key, _ in rows}
    assert [seq for seq, *_ in rows] == list(range(1, len(rows) + 1))
    assert len(seq_by_key) == len(rows) == sum(len(person.letters) for person in pair)
    for person in pair:
        assert list(person.copies) == [pair.chat_id], "of its own chat alone it was told"
        assert person.whole(pair.chat_id) == stored
        assert person.acked == {letter.key: seq_by_key[letter.key] for letter in person.letters}
        seqs = [person.acked[letter.key] for letter in person.letters]
        assert seqs == sorted(seqs), "in the order they were said"
        for letter in person.letters:
            assert stored[person.acked[letter.key] - 1].content == letter.content
