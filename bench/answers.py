"""Clients that ask a bot and read its answer as it is being written, cheap enough not to be what is
measured; and what they noticed, together.

Each has a connection of its own and asks once. It understands the stream of a provider and that of
kefu, as far as `replay.py` writes and kefu passes on: no others.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import msgspec

from bench.replay import STAMPED, age_s

QUESTION = "请问这件外套什么时候发货？"
PATIENCE_S = 60.0
ENDS = (b"data: [DONE]\n\n", b'data: {"type":"done"')
EVENT = b"data: "


class Place(NamedTuple):
    """Where a question goes: to the provider itself, or to kefu as the customer of that number."""

    url: str
    path: str
    body: Callable[[int], object]


def provider_at(url: str) -> Place:
    body = {"model": "replay", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    return Place(url, "/v1/chat/completions", lambda _number: body)


def kefu_at(url: str, crowd: str) -> Place:
    """Customers of one crowd are the same people again."""
    return Place(
        url,
        "/api/chat/stream",
        lambda number: {"message": QUESTION, "user_id": f"{crowd}-{number}"},
    )


class Noticed:
    """`is_counting` is for what goes on meanwhile; the first token of an answer counts for the
    question, if that was due in the time that counts."""

    def __init__(self) -> None:
        self.is_counting = False
        self.first_s: list[float] = []
        self.late_s: list[float] = []
        """How much later than due the questions were asked."""
        self.token_s: list[float] = []
        self.tokens = 0
        self.events = 0
        self.wrong: Counter[str] = Counter()
        self.last_at = 0.0

    def note_tokens(self, ages_s: list[float]) -> None:
        self.last_at = time.monotonic()
        if self.is_counting:
            self.tokens += len(ages_s)
            self.token_s += ages_s


class Asker(asyncio.Protocol):
    """One question. `over` is done when its answer is, whatever became of it."""

    def __init__(self, place: Place, number: int, due: float, token_count: int) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._place = place
        self._body = msgspec.json.encode(place.body(number))
        self._due = due
        self._left = token_count
        self._tail = b""
        self._status = b""
        self._is_whole = False
        self._noticed: Noticed
        self._transport: asyncio.Transport | None = None
        self._counts = False

    async def ask(self, noticed: Noticed) -> None:
        """Return when the answer is over."""
        self._noticed, self._counts = noticed, noticed.is_counting
        if self._counts:
            noticed.late_s.append(time.monotonic() - self._due)
        parts, loop = urlsplit(self._place.url), asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await loop.create_connection(lambda: self, str(parts.hostname), parts.port or 80)
                await self.over
        except (OSError, TimeoutError) as error:
            noticed.wrong[type(error).__name__] += 1
            if self._transport is not None:
                self._transport.abort()
        else:
            self._note_end()

    def _note_end(self) -> None:
        if b" 200 " not in self._status:
            self._noticed.wrong[f"status {self._status.decode()[9:12]}"] += 1
        elif self._left != 0 or not self._is_whole:
            self._noticed.wrong["not whole"] += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, place = cast(asyncio.Transport, transport), self._place
        head = (
            f"POST {place.path} HTTP/1.1\r\nHost: {urlsplit(place.url).netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self._body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + self._body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def data_received(self, data: bytes) -> None:
        text = self._tail + data
        if not self._status:
            self._status = text.partition(b"\r\n")[0]
        end = text.rfind(b"\n\n") + 2  # a token is never cut: its event is read whole
        if end > 1:
            self._read(text[:end])
            self._tail = text[end:]
        else:
            self._tail = text
        if self._tail.endswith(b"0\r\n\r\n") or (self._status and b" 200 " not in self._status):
            if self._transport is not None:
                self._transport.close()
            if not self.over.done():
                self.over.set_result(None)

    def _read(self, events: bytes) -> None:
        noticed, stamps = self._noticed, STAMPED.findall(events)
        if stamps:
            if self._counts:
                noticed.first_s.append(time.monotonic() - self._due)
                self._counts = False
            self._left -= len(stamps)
            noticed.note_tokens([age_s(int(stamp)) for stamp in stamps])
        if noticed.is_counting:
            noticed.events += events.count(EVENT)
        self._is_whole = self._is_whole or any(end in events for end in ENDS)
