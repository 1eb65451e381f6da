"""Frames on their way to one client: bounded, in order, written by a task of its own.

Nobody waits here but a replay: whoever pushes is an actor and must not. An outbox that would grow
past its bounds gives the client up; it comes back and resumes, because the log has everything.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from sys import getsizeof

import msgspec

from kefu.gateway.limits import OUTBOX_BYTES, OUTBOX_FRAMES, SEND_WITHIN_S
from kefu.gateway.send_watch import SendWatch
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
    """`put` from anywhere; one task runs `write`; one at a time may `wait_for_room`."""

    def __init__(
        self,
        send: Callable[[Wire], Awaitable[None]],
        write_now: Callable[[Wire], bool] | None = None,
    ) -> None:
        self._send = send
        self._write_now = write_now
        self._queue: deque[Wire] = deque()
        self._bytes = 0
        self._wakeup: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._is_sealed = False
        self._watch = SendWatch(SEND_WITHIN_S)

    def put(self, wire: Wire) -> bool:
        """Queue it; False when the client is too slow for this. A sealed outbox drops it."""
        if self._is_sealed or self._goes_at_once(wire):
            return True
        size = getsizeof(wire)
        if len(self._queue) >= OUTBOX_FRAMES or self._bytes + size > OUTBOX_BYTES:
            return False
        self._queue.append(wire)
        self._bytes += size
        _wake(self._wakeup)
        return True

    def _goes_at_once(self, wire: Wire) -> bool:
        """The usual case: nothing is before it, and the client takes it."""
        is_next = not self._queue and self._watch.since is None
        return is_next and self._write_now is not None and self._write_now(wire)

    async def wait_for_room(self) -> None:
        """Until it is not crowded, or sealed. Raises Stalled when that takes too long."""
        while not self._is_sealed and self.is_crowded:
            self._room = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(SEND_WITHIN_S):
                    await self._room
            except TimeoutError:
                raise Stalled from None

    @property
    def is_crowded(self) -> bool:
        """Whether half of it or more is taken."""
        return len(self._queue) >= OUTBOX_FRAMES // 2 or self._bytes >= OUTBOX_BYTES // 2

    def seal(self, *, drop: bool = False) -> None:
        """Write what is queued, or drop it and give up what is being sent; then `write` ends."""
        self._is_sealed = True
        if drop:
            self._queue.clear()
            self._bytes = 0
            self._watch.give_up()
        _wake(self._wakeup)
        _wake(self._room)

    async def write(self) -> None:
        """Send until sealed. Raises Stalled when one frame takes longer than SEND_WITHIN_S."""
        try:
            async with self._watch:
                await self._drain()
        except TimeoutError:
            raise Stalled from None

    async def _drain(self) -> None:
        while True:
            while self._queue:
                wire = self._queue.popleft()
                self._bytes -= getsizeof(wire)
                self._watch.begin()
                await self._send(wire)
                self._watch.end()
                if self._room is not None and not self.is_crowded:
                    _wake(self._room)
            if self._is_sealed:
                return
            self._wakeup = asyncio.get_running_loop().create_future()
            await self._wakeup


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
