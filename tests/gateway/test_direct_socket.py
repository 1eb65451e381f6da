"""The short way for whole frames must be no other way: the same messages, in the same order."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState
from websockets.frames import Close, Frame, Opcode
from websockets.speedups import apply_mask

from kefu.gateway.direct_socket import EXTENSION, DirectSocket

LIMIT = 1000
MASK = b"\x9c\x01\xf3\x55"
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: kefu\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Peer:
    """A connected client: bytes in, messages and bytes out."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.wire = Wire()
        self.left = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            scope["extensions"][EXTENSION].attach(self.messages.append)
            self.left.set()
            await receive()

        config = uvicorn.Config(
            app, ws_max_size=LIMIT, ws_per_message_deflate=False, log_config=None
        )
        config.load()
        self.socket = DirectSocket(config, ServerState(), {})
        self.socket.connection_made(self.wire)

    async def open(self, *early: bytes) -> "Peer":
        """Shake hands; `early` bytes come before the app has even answered."""
        self.socket.data_received(HANDSHAKE)
        for data in early:
            self.socket.data_received(data)
        await self.left.wait()
        self.wire.written = b""
        return self

    def hear(self, data: bytes) -> None:
        self.socket.data_received(data)

    def end(self) -> None:
        if not self.socket.disconnected:
            self.socket.connection_lost(None)


def frame(opcode: int, body: bytes, *, fin: bool = True) -> bytes:
    size = len(body)
    head = bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + MASK + apply_mask(body, MASK)


def text(words: str) -> bytes:
    return frame(Opcode.TEXT, words.encode())


def on_loop(test: Callable[[], Any]) -> None:
    asyncio.run(test())


pieces = st.one_of(
    st.text(max_size=300).map(lambda words: (text(words), [words])),
    st.binary(max_size=900).map(lambda body: (frame(Opcode.BINARY, body), [body])),
    st.binary(max_size=100).map(lambda body: (frame(Opcode.PING, body), [])),
    st.lists(st.text(max_size=30), min_size=2, max_size=4).map(
        lambda parts: (
            b"".join(
                frame(
                    Opcode.TEXT if number == 0 else Opcode.CONT,
                    part.encode(),
                    fin=number == len(parts) - 1,
                )
                for number, part in enumerate(parts)
            ),
            ["".join(parts)],
        )
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces, max_size=8), st.data())
def test_however_the_bytes_are_cut_every_message_comes_once_and_in_order(
    said: list[tuple[bytes, list[str | bytes]]], data: st.DataObject
) -> None:
    async def listen() -> None:
        stream = b"".join(sent for sent, _messages in said)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        early = data.draw(st.integers(0, len(chunks)))
        peer = await Peer().open(*chunks[:early])
        for chunk in chunks[early:]:
            peer.hear(chunk)
        assert peer.messages == [message for _sent, messages in said for message in messages]
        peer.end()

    on_loop(listen)


def test_a_ping_is_answered_between_two_messages() -> None:
    async def listen() -> None:
        peer = await Peer().open()
        peer.hear(text("a") + frame(Opcode.PING, b"?") + text("b"))
        assert peer.messages == ["a", "b"]
        assert peer.wire.written == b"\x8a\x01?"
        peer.end()

    on_loop(listen)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(Opcode.TEXT, b"x" * (LIMIT + 1)), 1009),
        (b"\x81\x02hi", 1002),
        (frame(Opcode.TEXT, b"\xff\xfe"), 1007),
        (frame(0x3, b""), 1002),
        (frame(Opcode.CONT, b"x"), 1002),
        (frame(Opcode.TEXT, b"a", fin=False) + text("b"), 1002),
        (frame(Opcode.TEXT, b"a" * 600, fin=False) + frame(Opcode.CONT, b"b" * 600), 1009),
    ],
    ids=["too large", "unmasked", "no UTF-8", "no opcode", "no start", "no end", "large in parts"],
)
def test_what_breaks_the_rules_ends_the_connection_with_its_code(data: bytes, code: int) -> None:
    async def listen() -> None:
        peer = await Peer().open()
        peer.hear(text("before"))
        peer.hear(data)
        assert peer.messages == ["before"]
        assert peer.wire.written[:1] == b"\x88"
        assert Close.parse(peer.wire.written[2:]).code == code
        assert peer.wire.closed
        peer.end()

    on_loop(listen)


def test_what_is_said_in_one_turn_goes_out_in_one_write_before_the_close() -> None:
    async def speak() -> None:
        peer = await Peer().open()
        assert peer.socket.write("你好")
        assert peer.socket.write(b"\x01" * 200)
        assert peer.wire.written == b""
        await peer.socket.send({"type": "websocket.close", "code": 4012})
        expected = Frame(Opcode.TEXT, "你好".encode()).serialize(mask=False)
        expected += Frame(Opcode.BINARY, b"\x01" * 200).serialize(mask=False)
        assert peer.wire.written.startswith(expected + b"\x88")
        assert not peer.socket.write("after")
        peer.end()

    on_loop(speak)


def test_a_client_that_does_not_read_is_not_written_to() -> None:
    async def speak() -> None:
        peer = await Peer().open()
        peer.socket.pause_writing()
        assert not peer.socket.write("later")
        peer.socket.resume_writing()
        assert peer.socket.write("now")
        peer.end()

    on_loop(speak)
