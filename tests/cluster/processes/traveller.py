"""A correspondent with several instances to go to, as behind a load balancer.

It keeps one message under way, as kefu's own pages do, because a refused one must not be overtaken:
what is refused with OVERLOADED it sends again when it was told to. It follows a goaway.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final, NamedTuple
from uuid import UUID

import anyio
from msgspec.json import encode
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from protocol.codes import ErrorCode
from protocol.server import Error, Fault, GoAway, MessageAck, NewMessage
from tests.correspondent import Correspondent, Letter

ACK_WITHIN_S: Final = 10.0


class Refusal(NamedTuple):
    at: float
    fault: Fault


class Absence(NamedTuple):
    """From the loss of a connection until everything missed had come; by `anyio.current_time`."""

    since: float
    until: float

    @property
    def length_s(self) -> float:
        return self.until - self.since


class Traveller(Correspondent):
    """`urls` are the instances, `at` the number of the one it is at or goes to."""

    def __init__(self, urls: list[str], at: int, token: str, name: str, *, seed: int) -> None:
        super().__init__(urls[at], token, name, seed=seed)
        self.at = at
        self.said_at: dict[str, float] = {}
        self.acked_at: dict[str, float] = {}
        self.heard_at: dict[str, float] = {}
        """When each message of others came, by its key."""
        self.absences: list[Absence] = []
        self.refusals: list[Refusal] = []
        self._urls = urls
        self._gone_since: float | None = None
        self._is_sent_away = False
        self._retry_s = 0.0
        self._under_way: str | None = None
        self._answer = anyio.Event()

    def say(self, chat_id: UUID, content: str) -> None:
        super().say(chat_id, content)
        self.said_at[self.letters[-1].key] = anyio.current_time()

    # --- where ------------------------------------------------------------------------------------

    async def _connected(self) -> ClientConnection:
        self._url = self._urls[self.at]
        return await super()._connected()

    async def _talk(self, line: ClientConnection) -> None:
        try:
            await super()._talk(line)
        finally:
            self._gone_since = anyio.current_time()

    def _pause_s(self) -> float:
        """Elsewhere the next time; at once when this one was announced."""
        self.at = (self.at + self._random.randrange(1, len(self._urls))) % len(self._urls)
        pause_s = super()._pause_s()
        if self._is_sent_away:
            self._is_sent_away, pause_s = False, 0.0
        return pause_s

    def _answered(self, reply_to: str | None) -> None:
        super()._answered(reply_to)
        if not self._resumes and self._gone_since is not None:
            self.absences.append(Absence(self._gone_since, anyio.current_time()))
            self._gone_since = None

    # --- what -------------------------------------------------------------------------------------

    async def _write(self, line: ClientConnection) -> None:
        place = 0
        with suppress(ConnectionClosed):
            while True:
                while place < len(self.letters):
                    if self.letters[place].key in self.acked:
                        place += 1
                    else:
                        await self._try(line, self.letters[place])
                self._more = anyio.Event()
                await self._more.wait()

    async def _try(self, line: ClientConnection, letter: Letter) -> None:
        self._answer, self._under_way, self._retry_s = anyio.Event(), letter.key, 0.0
        await line.send(_frame(letter))
        with anyio.move_on_after(ACK_WITHIN_S):
            await self._answer.wait()
        await anyio.sleep(self._retry_s)

    async def _hear(self, frame: Any) -> None:
        match frame:
            case Error(payload=fault) if fault.code is ErrorCode.OVERLOADED:
                self._refused(fault, frame.reply_to)
            case GoAway(payload=departure):
                self._is_sent_away = True
                assert self.line is not None
                after_s = departure.reconnect_after_ms / 1000
                asyncio.get_running_loop().call_later(after_s, self.line.transport.abort)
            case _:
                await super()._hear(frame)
                self._note_time(frame)

    def _note_time(self, frame: Any) -> None:
        match frame:
            case MessageAck(payload=receipt):
                key = receipt.client_message_id or ""
                self.acked_at.setdefault(key, anyio.current_time())
                if key == self._under_way:
                    self._answer.set()
            case NewMessage(payload=message):
                self.heard_at.setdefault(message.client_message_id or "", anyio.current_time())

    def _refused(self, fault: Fault, reply_to: str | None) -> None:
        assert fault.retry_after_s, f"{self.name}: {fault} to {reply_to} says not when to try again"
        self.refusals.append(Refusal(anyio.current_time(), fault))
        if reply_to is None:  # no message, a resume or a first question: begin anew
            if self.line is not None:
                self.line.transport.abort()
        elif reply_to == self._under_way:
            self._retry_s = fault.retry_after_s
            self._answer.set()


def _frame(letter: Letter) -> str:
    payload = {
        "chat_id": letter.chat_id,
        "content": letter.content,
        "client_message_id": letter.key,
    }
    return encode({"type": "send_message", "payload": payload, "id": letter.key}).decode()
