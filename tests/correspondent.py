"""A person whose program comes back by itself, as kefu's own pages do, and forgets nothing.

It waits a random while (full jitter, doubling from half a second), resumes from what it has, then
sends everything unacknowledged again under the same client_message_id. Whatever it was promised it
checks at every frame: a breach is raised, and with it the test fails.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import anyio
from msgspec.json import encode
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from protocol.server import ChatState, ChatStatus, Error, MessageAck, NewMessage, Pong
from protocol.wire import Rejection, from_server
from tests.simulation.chat_copy import ChatCopy

FIRST_S: Final = 0.5
SOON_S: Final = 2.0
SOON_ATTEMPTS: Final = 10
LONGEST_S: Final = 15.0
SEGMENT_BYTES: Final = 1460
NEVER_AGAIN: Final = range(4500, 5000)
HELLO: Final = "hello"


class Letter(NamedTuple):
    """What was said; its key is the client_message_id."""

    key: str
    chat_id: UUID
    content: str


class Said(NamedTuple):
    """One message of a chat, as everybody must have it."""

    message_id: UUID
    key: str | None
    content: str


class Correspondent:
    """`live` connects and comes back until it is cancelled; `say` may be called at any time.

    `on_ack` is called with each acknowledgement. With `receive_bytes` they are at the end of a
    network that holds little more on the way: loopback, left to itself, takes megabytes.
    """

    def __init__(
        self,
        url: str,
        token: str,
        name: str,
        *,
        seed: int,
        on_ack: Callable[[], None] = lambda: None,
        receive_bytes: int | None = None,
    ) -> None:
        self.name = name
        self.copies: dict[UUID, ChatCopy] = {}
        self.said: dict[UUID, dict[int, Said]] = {}
        self.letters: list[Letter] = []
        self.acked: dict[str, int] = {}
        self.resumed_at = 0.0
        """When everything missed had come, on the latest connection; by `anyio.current_time`."""
        self.connection_count = 0
        self.close_codes: list[int | None] = []
        self.line: ClientConnection | None = None
        self._url = url
        self._protocols = [Subprotocol("kefu.v1"), Subprotocol(f"bearer.{token}")]
        self._receive_bytes = receive_bytes
        self._random = Random(f"{seed} {name}")
        self._failures = 0
        self._resumes: dict[str, ChatCopy] = {}
        self._more = anyio.Event()
        self._own: dict[str, Letter] = {}
        self._on_ack = on_ack

    # --- what the person does ---------------------------------------------------------------------

    def say(self, chat_id: UUID, content: str) -> None:
        letter = Letter(f"{self.name}-{len(self.letters)}", chat_id, content)
        self.letters.append(letter)
        self._own[letter.key] = letter
        self._more.set()

    @property
    def unacked_count(self) -> int:
        return len(self.letters) - len(self.acked)

    async def send(self, type: str, payload: Any = None, id: str | None = None) -> None:
        """One frame, lost when the line is."""
        if self.line is not None:
            with suppress(ConnectionClosed):
                frame = {"type": type, "payload": payload or {}, "id": id}
                await self.line.send(encode(frame).decode())

    def stall(self) -> None:
        """Read nothing from now on, until `read_on`: the network fills up behind us."""
        assert self.line is not None
        self.line.transport.pause_reading()

    def read_on(self) -> None:
        assert self.line is not None
        self.line.transport.resume_reading()

    # --- the connection ---------------------------------------------------------------------------

    async def live(self) -> None:
        while True:
            with suppress(OSError, InvalidHandshake):  # TimeoutError is an OSError
                async with await self._connected() as line:
                    await self._talk(line)
            await anyio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        """How long to wait before the next attempt."""
        self._failures += 1
        return self._random.uniform(0, _ceiling_s(self._failures - 1))

    async def _connected(self) -> ClientConnection:
        parts = urlsplit(self._url)
        plain = socket.socket()
        try:
            if self._receive_bytes is not None:  # once connected, it would be too late
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
            plain.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(plain, (parts.hostname, parts.port))
            return await connect(
                self._url,
                sock=plain,
                subprotocols=self._protocols,
                compression=None,
                proxy=None,
                max_queue=None,
                ping_interval=None,
            )
        except BaseException:
            plain.close()
            raise

    async def _talk(self, line: ClientConnection) -> None:
        self.line = line
        self.connection_count += 1
        for copy in self.copies.values():
            copy.connected_anew()
        try:
            async with anyio.create_task_group() as tasks:
                await self.send("ping", id=HELLO)
                await self._read(line, tasks)
                tasks.cancel_scope.cancel()
        finally:
            self.line = None
            self._resumes.clear()
            line.transport.abort()

    async def _read(self, line: ClientConnection, tasks: anyio.abc.TaskGroup) -> None:
        try:
            async for data in line:
                frame = from_server.read_json(data)
                assert not isinstance(frame, Rejection), f"{self.name}: {frame} {data!r}"
                await self._hear(frame)
                if isinstance(frame, Pong) and frame.reply_to == HELLO:
                    strangers = [c for c in self.copies.values() if not c.is_followed]
                    assert not strangers, f"{self.name} was not told of {len(strangers)} chats"
                    tasks.start_soon(self._write, line)
        except ConnectionClosed:
            pass
        self.close_codes.append(line.close_code)
        assert line.close_code not in NEVER_AGAIN, f"{self.name}: {line.close_code}"

    async def _write(self, line: ClientConnection) -> None:
        """All that is unacknowledged, in its order, then what is said."""
        place = 0
        with suppress(ConnectionClosed):
            while True:
                while place < len(self.letters):
                    letter, place = self.letters[place], place + 1
                    if letter.key not in self.acked:
                        await line.send(_frame(letter))
                self._more = anyio.Event()
                await self._more.wait()

    # --- what comes -------------------------------------------------------------------------------

    async def _hear(self, frame: Any) -> None:
        match frame:
            case NewMessage(payload=message):
                said = Said(message.message_id, message.client_message_id, message.content)
                self._note(message.chat_id, message.seq, said)
                self.copies[message.chat_id].take_message(message.seq, message.message_id)
            case MessageAck(payload=receipt):
                letter = self._own[receipt.client_message_id or ""]
                assert self.acked.setdefault(letter.key, receipt.seq) == receipt.seq
                said = Said(receipt.message_id, letter.key, letter.content)
                self._note(receipt.chat_id, receipt.seq, said)
                self.copies[receipt.chat_id].take_receipt(receipt.seq, receipt.message_id)
                self._on_ack()
            case ChatStatus(payload=state):
                await self._follow(state)
            case Pong(reply_to=reply_to):
                self._answered(reply_to)
            case Error(payload=fault):
                raise AssertionError(f"{self.name} was refused: {fault.code} {frame.reply_to}")

    def _note(self, chat_id: UUID, seq: int, said: Said) -> None:
        known = self.said[chat_id].setdefault(seq, said)
        assert known == said, f"{self.name}: seq {seq} was {known} and is {said}"

    async def _follow(self, state: ChatState) -> None:
        copy = self.copies.setdefault(state.chat_id, ChatCopy(state.chat_id))
        self.said.setdefault(state.chat_id, {})
        assert not state.resync, f"{self.name} was not told exactly what it missed"
        if copy.take_status(state, follows=state.status != "ended"):
            resume_id = f"resume-{state.chat_id}"
            self._resumes[resume_id] = copy
            await self.send("resume", {"chat_id": state.chat_id, "last_seq": copy.ask()})
            await self.send("ping", id=resume_id)

    def _answered(self, reply_to: str | None) -> None:
        copy = self._resumes.pop(reply_to or "", None)
        if copy is not None:
            copy.answered()
        if not self._resumes:
            self.resumed_at = anyio.current_time()
            self._failures = 0

    # --- looking back -----------------------------------------------------------------------------

    def whole(self, chat_id: UUID) -> list[Said]:
        """The chat from its first message on; a hole is a failed test."""
        said = self.said[chat_id]
        assert sorted(said) == list(range(1, len(said) + 1)), f"{self.name} has a hole"
        return [said[seq] for seq in range(1, len(said) + 1)]


def _frame(letter: Letter) -> str:
    payload = {
        "chat_id": letter.chat_id,
        "content": letter.content,
        "client_message_id": letter.key,
    }
    return encode({"type": "send_message", "payload": payload}).decode()


def _ceiling_s(failures: int) -> float:
    """As the pages wait: see kefu/web/src/shared/backoff.ts."""
    if failures < SOON_ATTEMPTS:
        return min(SOON_S, FIRST_S * 2**failures)
    return min(LONGEST_S, SOON_S * 2 ** (failures - SOON_ATTEMPTS))
