"""A WebSocket client that sends any bytes at all, yet reads strictly: what comes must be legal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
from anyio.abc import SocketStream
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

WITHIN_S: Final = 30.0
GONE: Final = (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError)


def framed(data: bytes, *, is_binary: bool, pieces: int = 1) -> bytes:
    """A message as a client sends it, in so many fragments with a ping before the last."""
    kind = Opcode.BINARY if is_binary else Opcode.TEXT
    size = len(data) // pieces
    parts = [data[size * n : size * (n + 1)] for n in range(pieces - 1)]
    parts.append(data[size * (pieces - 1) :])
    frames = [
        Frame(Opcode.CONT if n else kind, part, fin=n == pieces - 1) for n, part in enumerate(parts)
    ]
    if pieces > 1:
        frames.insert(-1, Frame(Opcode.PING, b"between"))
    return b"".join(frame.serialize(mask=True) for frame in frames)


class BareSocket:
    """`close_code` is what the server closed with; None while it has not, and when it just went."""

    def __init__(self, stream: SocketStream, protocol: ClientProtocol) -> None:
        self.is_closed = False
        self._is_mute = False
        self._stream = stream
        self._protocol = protocol
        self._early: list[Frame] = []

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, token: str, *, is_binary: bool
    ) -> AsyncIterator["BareSocket"]:
        """A refused upgrade is a failed test."""
        uri = parse_uri(url)
        name = "kefu.v1.msgpack" if is_binary else "kefu.v1"
        protocol = ClientProtocol(
            uri, subprotocols=[Subprotocol(name), Subprotocol(f"bearer.{token}")]
        )
        async with await anyio.connect_tcp(uri.host, uri.port) as stream:
            socket = cls(stream, protocol)
            protocol.send_request(protocol.connect())
            response, *early = await socket._events()
            assert isinstance(response, Response)
            assert response.status_code == 101, response.body
            socket._early = [frame for frame in early if isinstance(frame, Frame)]
            yield socket

    @property
    def close_code(self) -> int | None:
        close = self._protocol.close_rcvd
        return close.code if close is not None else None

    async def send(self, data: bytes) -> None:
        with suppress(*GONE):  # what it said before it went is still to be read
            await self._stream.send(data)

    async def close(self) -> None:
        """Begin to say goodbye; read on until `is_closed`."""
        self._protocol.send_close(1000)
        await self._flush()

    async def half_close(self) -> None:
        self._is_mute = True
        with suppress(*GONE):
            await self._stream.send_eof()

    async def messages(self) -> list[bytes]:
        """What has come, at least something or the end."""
        frames, self._early = self._early, []
        while not frames and not self.is_closed:
            frames = [event for event in await self._events() if isinstance(event, Frame)]
        return [bytes(frame.data) for frame in frames if frame.opcode in (1, 2)]

    async def _events(self) -> list[object]:
        with anyio.fail_after(WITHIN_S):
            await self._flush()
            try:
                self._protocol.receive_data(await self._stream.receive())
            except GONE:
                self._protocol.receive_eof()
                self.is_closed = True
        broken = self._protocol.parser_exc
        assert broken is None or isinstance(broken, EOFError | ConnectionClosed), repr(broken)
        await self._flush()
        return list(self._protocol.events_received())

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data and not self._is_mute:
                await self.send(data)
