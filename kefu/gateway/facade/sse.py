"""Server-sent events on their way to one client: bounded, in order, with a heartbeat.

Nothing waits for a client that reads slowly. Beyond EVENTS the oldest event that is no message is
left out; a message never is: the stream ends instead, and the client comes back for it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import msgspec
from msgspec import Struct
from starlette.types import Send

from kefu.gateway.send_watch import SendWatch
from protocol.facade import Piece
from protocol.server import ToWorkbench

EVENTS: Final = 100
IDLE_S: Final = 300.0
HEARTBEAT_S: Final = 30.0
BEAT: Final = b":\n\n"


class Event(Struct, frozen=True):
    """`body` is the JSON of the data line, `id` the cursor behind it where that has moved. `kind`
    is given to what is no message to a page, the farewell. `frame` is what the body is to be made
    of, where that has to wait until it is sent."""

    body: bytes
    id: str | None = None
    is_message: bool = False
    kind: str | None = None
    frame: ToWorkbench | None = None
    piece: str | None = None
    """The text of a piece of an answer, to which the next one may be added."""

    def wire(self) -> bytes:
        kind = f"event: {self.kind}\n".encode() if self.kind else b""
        id = f"id: {self.id}\n".encode() if self.id is not None else b""
        return kind + id + b"data: " + self.body + b"\n\n"


def event(body: Struct, *, is_message: bool = False, id: str | None = None) -> Event:
    return Event(msgspec.json.encode(body), id, is_message)


Item = Event | bytes  # bytes are no event but a comment


class EventQueue:
    """`put` from anywhere; one task `pours`."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._has_changed = asyncio.Event()
        self._is_closed = False

    def put(self, item: Item) -> bool:
        """Queue it; False where a message would have to go for it. A closed queue drops it."""
        if self._is_closed:
            return True
        if len(self._items) >= EVENTS and not self._make_room():
            return not _is_message(item)
        self._items.append(item)
        self._has_changed.set()
        return True

    def put_piece(self, text: str) -> None:
        """A piece of an answer. None is left out: where too many wait they become one."""
        last = self._items[-1] if self._items else None
        if len(self._items) >= EVENTS and isinstance(last, Event) and last.piece is not None:
            self._items[-1] = _piece(last.piece + text)
        elif text:
            self.put(_piece(text))

    def _make_room(self) -> bool:
        for place, item in enumerate(self._items):
            if not _is_message(item):
                del self._items[place]
                return True
        return False

    def end_with(self, item: Item) -> None:
        """The last that goes out, however much waits."""
        self._items.append(item)
        self.close()

    def clear(self) -> None:
        """Leave out all that has not gone yet."""
        self._items.clear()
        self._has_changed.set()

    def close(self) -> None:
        """What is queued goes out, and nothing after it."""
        self._is_closed = True
        self._has_changed.set()

    @property
    def is_crowded(self) -> bool:
        return len(self._items) >= EVENTS // 2

    async def wait_for_room(self) -> None:
        """For long replays. Raises TimeoutError when the client takes nothing for too long."""
        with anyio.fail_after(IDLE_S):
            while self.is_crowded and not self._is_closed:
                await self._change()

    async def pour(self, send: Send, encode: "Encode | None" = None) -> None:
        """Send all that comes until it is closed. Raises TimeoutError when the client has taken
        nothing, heartbeats included, for IDLE_S; and what `send` raises."""
        watch = SendWatch(IDLE_S)
        async with watch:
            while True:
                while self._items:
                    body = self._taken() if encode is None else await self._encoded(encode)
                    self._has_changed.set()
                    watch.begin()
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                    watch.end()
                if self._is_closed:
                    return
                await self._change()

    def _taken(self) -> bytes:
        """All that waits, in one go."""
        body = b"".join(map(_wire, self._items))
        self._items.clear()
        return body

    async def _encoded(self, encode: "Encode") -> bytes:
        item = self._items.popleft()
        return await encode(item) if isinstance(item, Event) else item

    async def _change(self) -> None:
        self._has_changed.clear()
        await self._has_changed.wait()

    async def beat(self, ping: Callable[[], Item] | None = None) -> None:
        """For ever: a comment that shows both ends that the other is there."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self.put(BEAT)
            if ping is not None:
                self.put(ping())


Encode = Callable[[Event], Awaitable[bytes]]


def _piece(text: str) -> Event:
    return Event(msgspec.json.encode(Piece(text)), is_message=True, piece=text)


def _wire(item: Item) -> bytes:
    return item.wire() if isinstance(item, Event) else item


def _is_message(item: Item) -> bool:
    return isinstance(item, Event) and item.is_message
