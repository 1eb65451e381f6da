"""Damaged frames by the thousand, on real sockets to a server of its own: each a typed answer.

What the protocol's readers refuse must come back as exactly that refusal, under the frame's own
id; what they let through must be answered by the rules. KEFU_MUTATED_FRAMES sets how many go over
the wire (`make soak`: a million); the readers alone get five times as many.
"""

import os
from collections import Counter, deque
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import anyio
import msgspec
import pytest

from kefu.gateway.connection import WRONG_FORMAT
from kefu.storage.embedded import Stores
from protocol.agent import FromAgent, FromWorkbench
from protocol.codes import ErrorCode
from protocol.customer import FromCustomer
from protocol.limits import FRAME_BYTES, INVALID_FRAMES_BEFORE_CLOSE
from protocol.server import ChatStatus, Error
from protocol.wire import Reader, Rejection, from_agent, from_customer, from_server, from_workbench
from tests.bare_socket import BareSocket, framed
from tests.mutations import Mutations
from tests.server import People, people_of, running

FRAMES = int(os.environ.get("KEFU_MUTATED_FRAMES", "20000"))
SEED = 1
EACH_KIND = 3
BATCH = 99  # one more invalid frame, and the server closes
MEMORY_MIB = 64
UNTYPED = {ErrorCode.INTERNAL, ErrorCode.RATE_LIMITED}
ABUSE: set[int | None] = {4504}
DAMAGED_WIRE: set[int | None] = {None, 1002, 1007, 1009}
FAST = {"KEFU_MAX_FRAME_RATE": "10000", "KEFU_MAX_FRAME_BURST": "100000"}
READERS: dict[str, tuple[Reader[Any], Any]] = {
    "customer": (from_customer, FromCustomer),
    "agent": (from_agent, FromAgent),
    "workbench": (from_workbench, FromWorkbench),
}

pytestmark = pytest.mark.timeout(120 + FRAMES // 500)


class Batch(NamedTuple):
    """What goes over one connection. `ends_with` are the close codes it is to end with."""

    wire: bytes
    count: int
    refused: Counter[Rejection]
    ends_with: set[int | None] | None


class Vandal:
    """One person whose program is broken, on one connection after another."""

    def __init__(self, url: str, token: str, role: str, number: int, ids: deque[UUID]) -> None:
        self._url = url
        self._token = token
        self._is_binary = number % 2 == 1
        self._reader, union = READERS[role]
        self._mutations = Mutations(self._reader, union, ids, f"{SEED} {role} {number}")
        self._random = self._mutations.random
        self._ids = ids
        self.heard: Counter[str] = Counter()

    async def run(self, todo: "Todo") -> None:
        while todo.take(batch := self._batch()):
            async with BareSocket.connected(
                self._url, self._token, is_binary=self._is_binary
            ) as socket:
                await socket.send(batch.wire)
                refused = await self._listen(socket, batch)
                if batch.ends_with in (None, ABUSE):  # else it may hang up before it answers
                    missing = batch.refused - refused
                    assert not missing, f"{missing} unanswered; {refused}"
                self.heard[f"close {socket.close_code}"] += 1

    def _batch(self) -> Batch:
        wire, count, refused = bytearray(), 0, Counter[Rejection]()
        most = BATCH if self._random.random() < 0.95 else 2 * BATCH
        ends_with: set[int | None] | None = None
        while count < most and ends_with is None:
            data, count = self._damaged(), count + 1
            is_wrong_kind = self._random.random() < 0.005
            is_text = self._is_binary == is_wrong_kind
            if len(data) > FRAME_BYTES:
                ends_with = {1009, None}  # None: it hung up while we were still writing
            elif is_text and not is_utf8(data):
                ends_with = {1007}
            else:
                answer = WRONG_FORMAT if is_wrong_kind else self._read(data)
                if isinstance(answer, Rejection):
                    refused[answer] += 1
            pieces = self._random.choice((2, 3)) if self._random.random() < 0.02 else 1
            wire += framed(data, is_binary=not is_text, pieces=pieces)
            if refused.total() == INVALID_FRAMES_BEFORE_CLOSE:
                ends_with = ABUSE
        if ends_with is None and self._random.random() < 0.2:
            wire, ends_with = wire + self._damaged_wire(), DAMAGED_WIRE
        return Batch(bytes(wire), count, refused, ends_with)

    def _damaged(self) -> bytes:
        """Few of the texts are no UTF-8: each ends its connection."""
        data = self._mutations.next(is_binary=self._is_binary)
        if self._is_binary or is_utf8(data) or self._random.random() < 0.05:
            return data
        return data.decode(errors="replace").encode()

    def _damaged_wire(self) -> bytes:
        """A frame whose own head is wrong: what it says of its length and kind is not true."""
        frame = bytearray(framed(self._damaged(), is_binary=self._is_binary))
        frame[self._random.randrange(2)] ^= 1 << self._random.randrange(8)
        return bytes(frame)

    def _read(self, data: bytes) -> Any:
        if self._is_binary:
            return self._reader.read_msgpack(data)
        return self._reader.read_json(data.decode())

    async def _listen(self, socket: BareSocket, batch: Batch) -> Counter[Rejection]:
        """Read until everything sent is answered and the connection is over; the refusals."""
        refused, last_id = Counter[Rejection](), uuid4().hex
        if batch.ends_with is None:
            await socket.send(self._ping(last_id))
        elif batch.ends_with is DAMAGED_WIRE:
            await socket.half_close()
        while not socket.is_closed:
            for data in await socket.messages():
                frame = self._understood(data)
                if isinstance(frame, Error):
                    fault = frame.payload
                    refused[Rejection(fault.code, fault.message, frame.reply_to)] += 1
                if frame.reply_to == last_id:
                    await socket.close()
        assert socket.close_code in (batch.ends_with or {1000}), socket.close_code
        return refused

    def _ping(self, frame_id: str) -> bytes:
        ping = {"type": "ping", "id": frame_id}
        encode = msgspec.msgpack.encode if self._is_binary else msgspec.json.encode
        return framed(encode(ping), is_binary=self._is_binary)

    def _understood(self, data: bytes) -> Any:
        read = from_server.read_msgpack if self._is_binary else from_server.read_json
        frame = read(data)
        assert not isinstance(frame, Rejection), f"{frame} in {data!r}"
        kind = type(frame).__name__
        if isinstance(frame, Error):
            kind = frame.payload.code
            assert kind not in UNTYPED, frame
        elif isinstance(frame, ChatStatus):
            self._ids.append(frame.payload.chat_id)
        self.heard[kind] += 1
        return frame


class Todo:
    """How many frames are still to be sent by whoever comes first."""

    def __init__(self, process_id: int) -> None:
        self.sent = 0
        self.memory_mib: list[float] = []
        self._process_id = process_id

    def take(self, batch: Batch) -> bool:
        if self.sent >= FRAMES:
            return False
        self.sent += batch.count
        if self.sent >= FRAMES * (1 + len(self.memory_mib)) // 10:
            self.memory_mib.append(memory_mib(self._process_id))
        return True


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def memory_mib(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def vandals_of(people: People) -> list[Vandal]:
    """Customers in chats with agents, and agents at the workbench, in both formats."""
    ids: deque[UUID] = deque([uuid4()], maxlen=24)
    found: list[tuple[str, str, str]] = []
    for _ in range(EACH_KIND):
        customer = people.customer()
        agent, other = await people.agent(), await people.agent(role="supervisor")
        async with people.connected(customer) as one, people.connected(agent.token) as desk:
            chat_id = await one.start()
            await desk.send("accept_chat", {"chat_id": chat_id})
            await one.expect("chat_status", status="active")
        ids += [UUID(chat_id), agent.id, other.id]
        found.append(("customer", "/ws/chat", customer))
        found.append(("agent", "/ws/chat", agent.token))
        found.append(("workbench", "/ws/workbench", other.token))
    return [
        Vandal(f"{people.server.ws}{path}", token, role, number, ids)
        for role, path, token in found
        for number in range(2)
    ]


async def test_every_damaged_frame_is_answered_and_the_server_stays_well(
    stores: Stores, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {**FAST, "KEFU_DATABASE_URL": database, "KEFU_REDIS_URL": stores.redis_url}
    async with running(variables) as server, people_of(server, database) as people:
        vandals, todo = await vandals_of(people), Todo(server.process.pid)
        begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for vandal in vandals:
                tasks.start_soon(vandal.run, todo)
        took_s = anyio.current_time() - begun
        await two_still_talk(people)
        heard = sum((vandal.heard for vandal in vandals), Counter[str]())
        memory = [round(each) for each in todo.memory_mib]
        with capsys.disabled():
            print(f"\n{todo.sent} frames in {took_s:.0f} s; heard {dict(heard)}; {memory} MiB")  # noqa: T201
        assert await server.stop() == 0
        assert server.troubles == []
        assert memory[-1] - memory[0] <= MEMORY_MIB
        assert {ErrorCode.INVALID_MESSAGE, ErrorCode.UNKNOWN_TYPE, "Pong"} <= heard.keys()


async def two_still_talk(people: People) -> None:
    agent = await people.agent()
    async with people.connected(people.customer()) as one, people.at_work(agent) as desk:
        chat_id = await one.start()
        await desk.send("accept_chat", {"chat_id": chat_id})
        await one.expect("chat_status", status="active")
        await one.say("还在吗")
        await desk.expect("new_message", content="还在吗")
        await desk.say("在的", chat_id=chat_id)
        await one.expect("new_message", content="在的")


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("is_binary", [False, True], ids=["json", "msgpack"])
def test_the_readers_answer_every_damaged_frame(role: str, *, is_binary: bool) -> None:
    reader, union = READERS[role]
    mutations = Mutations(reader, union, [uuid4() for _ in range(8)], f"{SEED} {role}")
    for _ in range(5 * FRAMES // (2 * len(READERS))):
        data = mutations.next(is_binary=is_binary)
        answer = reader.read_msgpack(data) if is_binary else reader.read_json(data)
        if isinstance(answer, Rejection):
            assert answer.code in ErrorCode
            assert 10 < len(answer.sentence) <= 300
