"""A WebSocket client small enough not to be what is measured: text frames in, text frames out.

It speaks only what a load generator needs of RFC 6455 (no fragments, no extensions) and trusts the
server: never use it for anything else.
"""

import asyncio
import base64
import os
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from websockets.speedups import apply_mask

MASK = b"\x11\x22\x33\x44"


def text_frame(body: bytes) -> bytes:
    """The body as a client sends it."""
    size = len(body)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    else:
        head = bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
    return head + MASK + apply_mask(body, MASK)


class LeanSocket(asyncio.Protocol):
    """`on_text(bytes)` gets the body of every text frame."""

    def __init__(self, path: str, host: str, on_text: Callable[[bytes], None]) -> None:
        self._path = path
        self._host = host
        self.on_text = on_text
        self._buffer = b""
        self._is_open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed before it opened"))

    def send(self, body: bytes) -> None:
        self._transport.write(text_frame(body))

    def send_framed(self, frames: bytes) -> None:
        """What `text_frame` made, once or many times over."""
        self._transport.write(frames)

    def close(self) -> None:
        self._transport.close()

    def cut(self) -> None:
        """Gone without a word, like a client whose network went away."""
        self._transport.abort()

    def only_count(self, on_count: Callable[[int], None]) -> None:
        """From now on `on_count(n)` hears of every n texts instead of `on_text` of each.

        A text of one byte is socket.io's ping: it is answered and not counted.
        """
        self._on_count = on_count
        self._frames = self._count_frames  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._is_open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            status = buffer[: buffer.find(b"\r\n")]
            if b" 101 " not in status:
                self.opened.set_exception(ConnectionError(status.decode()))
                self._transport.close()
                return
            self._is_open = True
            buffer = buffer[end + 4 :]
            self.opened.set_result(None)
        self._buffer = self._frames(buffer)

    def _frames(self, buffer: bytes) -> bytes:
        """Hand out every whole frame; what is left of the buffer."""
        at, end = 0, len(buffer)
        while end - at >= 2:
            size, head = buffer[at + 1], 2
            if size == 126:
                if end - at < 4:
                    break
                size, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif size == 127:
                if end - at < 10:
                    break
                size, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if end - at < head + size:
                break
            kind = buffer[at] & 0x0F
            if kind == 1:
                self.on_text(buffer[at + head : at + head + size])
            elif kind == 9:
                self._pong(buffer[at + head : at + head + size])
            at += head + size
        return buffer[at:] if at < end else b""

    def _count_frames(self, buffer: bytes) -> bytes:
        """The same, as cheap as it gets."""
        at, end, count = 0, len(buffer), 0
        while end - at >= 2:
            first, size, head = buffer[at], buffer[at + 1], 2
            if size == 126:
                if end - at < 4:
                    break
                size, head = buffer[at + 2] << 8 | buffer[at + 3], 4
            if end - at < head + size:
                break
            at += head + size
            if first == 0x89:
                self._pong(buffer[at - size : at])
            elif size > 1:
                count += 1
            else:
                self.send(b"3")
        if count:
            self._on_count(count)
        return buffer[at:] if at < end else b""

    def _pong(self, payload: bytes) -> None:
        """A server that asks whether we live wants its own words back."""
        head = bytes((0x8A, 0x80 | len(payload)))
        self._transport.write(head + MASK + apply_mask(payload, MASK))


async def connect(url: str, on_text: Callable[[bytes], None]) -> LeanSocket:
    """An open socket at ws://host:port/path. Raises OSError or ConnectionError."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    loop = asyncio.get_running_loop()
    _transport, socket = await loop.create_connection(
        lambda: LeanSocket(path, parts.netloc, on_text), str(parts.hostname), int(parts.port or 80)
    )
    await socket.opened
    return socket
