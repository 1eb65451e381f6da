"""uvicorn's WebSocket protocol with a short way for whole frames, in both directions.

A chat is nearly all small unfragmented frames. Those are unmasked and handed on as they arrive, and
written as they are said, without a queue, a task switch or a parser in between. Everything else
(handshake, control frames, fragments, whatever breaks the rules) is passed on to uvicorn and
`websockets`, one whole frame at a time, so that their parser always stands between two frames.

The app finds it as the ASGI extension `EXTENSION`; on another server it does without.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from websockets.http11 import Request
from websockets.speedups import apply_mask

from kefu.gateway.wire import WebSocketProtocol

EXTENSION: Final = "kefu.direct"
FINAL_TEXT: Final = 0x81
FINAL_BINARY: Final = 0x82
MASKED: Final = 0x80
END_OF_REQUEST: Final = b"\r\n\r\n"
FLUSH_BYTES: Final = 64 * 1024

_SHORT_HEAD: Final = Struct("!BBH").pack
OnFrame = Callable[[str | bytes], None]


class DirectSocket(WebSocketProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rest = b""
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._on_frame: OnFrame | None = None
        self._is_parsers = False

    def attach(self, on_frame: OnFrame) -> None:
        """From now on messages go to `on_frame`, in their order; `receive` tells only the end."""
        self._on_frame = on_frame
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._read_frames(b"")

    def write(self, frame: str | bytes) -> bool:
        """Write a frame now; False before `attach`, and when the client takes none or has gone."""
        is_open = self._on_frame is not None and not self.close_sent
        if not is_open or not self.writable.is_set() or self.transport.is_closing():
            return False
        if isinstance(frame, str):
            kind, body = FINAL_TEXT, frame.encode()
        else:
            kind, body = FINAL_BINARY, frame
        size = len(body)
        if size < 126:
            head = bytes((kind, size))
        elif size < 65536:
            head = _SHORT_HEAD(kind, 126, size)
        else:
            head = bytes((kind, 127)) + size.to_bytes(8, "big")
        if not self._unsent:
            self.loop.call_soon(self._flush)
        self._unsent += (head, body)
        self._unsent_bytes += size
        if self._unsent_bytes > FLUSH_BYTES:
            self._flush()
        return True

    def _flush(self) -> None:
        """All that was said in one turn of the loop goes out in one system call."""
        unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
        if unsent and not self.close_sent and not self.transport.is_closing():
            self.transport.write(b"".join(unsent))

    async def send(self, message: Any) -> None:
        """uvicorn's own way out: for the handshake, the end, and a client that reads slowly."""
        self._flush()
        await super().send(message)

    def shutdown(self) -> None:
        self._flush()
        super().shutdown()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        """A message is whole, in one frame or in several."""
        if self._on_frame is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        data, self.frames = b"".join(self.frames), []
        if self.curr_msg_data_type == "bytes":
            self._on_frame(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        self._on_frame(text)

    def data_received(self, data: bytes) -> None:
        if self._is_parsers:
            super().data_received(data)
        elif not self.handshake_initiated:
            self._shake_hands(data)
        elif self._on_frame is None:
            self._keep(data)
        else:
            self._read_frames(data)

    def _shake_hands(self, data: bytes) -> None:
        """The parser gets the request and not a byte more: what follows it is ours."""
        seen = len(self._rest)
        end = (self._rest + data).find(END_OF_REQUEST)
        if end < 0:
            self._rest = (self._rest + data)[1 - len(END_OF_REQUEST) :]
            super().data_received(data)
            return
        end += len(END_OF_REQUEST) - seen
        self._rest = b""
        super().data_received(data[:end])
        self._keep(data[end:])

    def _keep(self, data: bytes) -> None:
        """Hold what comes before the app has answered; it is the client's turn to wait then."""
        self._rest += data
        if len(self._rest) > self.config.ws_max_size and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _read_frames(self, data: bytes) -> None:
        buffer = self._rest + data if self._rest else data
        self._rest = b""
        at, end = 0, len(buffer)
        while True:
            size = _frame_size(buffer, at, end, self.config.ws_max_size)
            if size is None:  # not all of it here yet
                break
            if size < 0:  # against the rules: uvicorn knows what to say
                self._is_parsers = True
                super().data_received(buffer[at:])
                return
            self._take(buffer, at, at + size)
            at += size
        self._rest = buffer[at:]

    def _take(self, buffer: bytes, start: int, end: int) -> None:
        """One whole frame."""
        kind = buffer[start]
        is_whole = kind in (FINAL_TEXT, FINAL_BINARY)
        if not is_whole or self.frames or self.close_sent:
            super().data_received(buffer[start:end])
            return
        head = _head_size(buffer[start + 1])
        body = apply_mask(buffer[start + head : end], buffer[start + head - 4 : start + head])
        self.curr_msg_data_type = "text" if kind == FINAL_TEXT else "bytes"
        self.frames = [body]
        self.send_receive_event_to_app()


def _head_size(second: int) -> int:
    """With the mask; `second` is the frame's second byte."""
    size = second & 0x7F
    return 6 if size < 126 else 8 if size == 126 else 14


def _frame_size(buffer: bytes, at: int, end: int, limit: int) -> int | None:
    """How many bytes the frame at `at` has; None when that many are not here, -1 when it breaks
    a rule we would have to answer (unmasked, larger than `limit`)."""
    if end - at < 2:
        return None
    second = buffer[at + 1]
    if not second & MASKED:
        return -1
    size, head = second & 0x7F, _head_size(second)
    if end - at < head:
        return None
    if size == 126:
        size = int.from_bytes(buffer[at + 2 : at + 4], "big")
    elif size == 127:
        size = int.from_bytes(buffer[at + 2 : at + 10], "big")
    if size > limit:
        return -1
    return head + size if end - at >= head + size else None
