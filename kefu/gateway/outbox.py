"""Frames on their way to one client: bounded, in order, written by a task of its own.

Nobody waits here but a replay: whoever pushes is an actor and must not. An outbox that would grow
past its bounds gives the client up; it comes back and resumes, because the log has everything.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from kefu.gateway.limits import OUTBOX_BYTES, OUTBOX_FRAMES, SEND_WITHIN_S
from protocol.server import ToWorkbench
from protocol.wire import encode_json, encode_msgpack

Wire = str | bytes


class Outgoing:
    """A frame, encoded at most once per format however many connections it goes to."""

    __slots__ = ("_json", "_msgpack", "frame")

    def __init__(self, frame: ToWorkbench) -> None:
        self.frame = frame
        self._json: str | None = None
        self._msgpack: bytes | None = None

    def json(self) -> str:
        if self._json is None:
            self._json = encode_json(self.frame).decode()
        return self._json

    def msgpack(self) -> bytes:
        if self._msgpack is None:
            self._msgpack = encode_msgpack(self.frame)
        return self._msgpack

    def with_reply_to(self, frame_id: str | None) -> "Outgoing":
        return Outgoing(msgspec.structs.replace(self.frame, reply_to=frame_id))


class Stalled(Exception):
    """The client does not take what it is sent."""


class Outbox:
    def __init__(self, send: Callable[[Wire], Awaitable[None]]) -> None:
        self._send = send
        self._queue: deque[Wire] = deque()
        self._bytes = 0
        self._wakeup: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._is_sealed = False

    def put(self, wire: Wire) -> bool:
        """Queue it; False when the client is too slow for this."""
        size = len(wire)
        if len(self._queue) >= OUTBOX_FRAMES or self._bytes + size > OUTBOX_BYTES:
            return False
        self._queue.append(wire)
        self._bytes += size
        _wake(self._wakeup)
        return True

    async def put_patiently(self, wire: Wire) -> None:
        """Queue it as soon as half the outbox is free. Raises Stalled when that takes too long."""
        while len(self._queue) > OUTBOX_FRAMES // 2 or self._bytes > OUTBOX_BYTES // 2:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._room, SEND_WITHIN_S)
            except TimeoutError:
                raise Stalled from None
        if not self.put(wire):
            raise Stalled

    def seal(self, *, drop: bool = False) -> None:
        """Write what is queued, or drop it, then let `write` return."""
        self._is_sealed = True
        if drop:
            self._queue.clear()
        _wake(self._wakeup)

    async def write(self) -> None:
        """Send until sealed. Raises Stalled when one frame takes longer than SEND_WITHIN_S."""
        loop = asyncio.get_running_loop()
        while True:
            while self._queue:
                wire = self._queue.popleft()
                self._bytes -= len(wire)
                await self._send_in_time(wire)
            _wake(self._room)
            if self._is_sealed:
                return
            self._wakeup = loop.create_future()
            await self._wakeup

    async def _send_in_time(self, wire: Wire) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._send(wire)
        except TimeoutError:
            raise Stalled from None


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
