"""Reads server-sent events out of bytes, however they are cut.

Lines end at LF, CR LF or CR and nowhere else: what Python calls lines also ends at U+2028, which
is ordinary text in an answer. Comments are kept with their event: DashScope puts the HTTP status
into one. An event whose last line is whole counts even when the stream ends behind it.
"""

import re
from typing import Final, NamedTuple

LIMIT_BYTES: Final = 1024 * 1024
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_EVENT_END: Final = b"\n\n"
_DATA: Final = b"data: "
_BOM: Final = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """`data` as bytes: whoever decodes it checks it, too."""

    name: str
    data: bytes
    comments: tuple[str, ...] = ()


class OversizedEvent(Exception):
    """One event is larger than anything a provider means to say."""


class SseReader:
    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._is_first_line = True
        self._ended_in_cr = False
        self._line: list[bytes] = []
        self._size = 0
        self._forget()

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole now. Raises OversizedEvent."""
        if b"\r" in chunk:
            return self._read(chunk)
        start = 0 if self._size == 0 else chunk.find(_EVENT_END) + len(_EVENT_END)
        events = self._read(chunk[:start]) if self._size else []
        while (end := self._plain_end(chunk, start)) is not None:
            events.append(Event("", chunk[start + len(_DATA) : end]))
            start = end + len(_EVENT_END)
            self._is_first_line = self._ended_in_cr = False
        return events + self._read(chunk[start:]) if start < len(chunk) else events

    def _plain_end(self, chunk: bytes, start: int) -> int | None:
        """Where an event ends that begins there and is one line of data: as nearly all do."""
        if self._size or not chunk.startswith(_DATA, start):
            return None
        end = chunk.find(b"\n", start)
        is_whole = end > 0 and chunk.startswith(b"\n", end + 1)
        return end if is_whole and end - start <= self._limit_bytes else None

    def _read(self, chunk: bytes) -> list[Event]:
        if self._ended_in_cr and chunk:
            self._ended_in_cr = False
            chunk = chunk.removeprefix(b"\n")
        events: list[Event] = []
        start = 0
        for end in _LINE_END.finditer(chunk):
            self._grow(chunk[start : end.start()])
            events += self._take_line()
            start = end.end()
        self._grow(chunk[start:])
        self._ended_in_cr = self._ended_in_cr or chunk.endswith(b"\r")
        return events

    def end(self) -> list[Event]:
        """What the end of the stream makes whole."""
        return [] if self._line else self._dispatch()

    def _grow(self, part: bytes) -> None:
        if not part:
            return
        self._size += len(part)
        if self._size > self._limit_bytes:
            raise OversizedEvent
        self._line.append(part)

    def _take_line(self) -> list[Event]:
        line = b"".join(self._line)
        self._line.clear()
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not field:
            self._comments.append(value.decode(errors="replace"))
        elif field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        return []

    def _dispatch(self) -> list[Event]:
        name, data, comments = self._name, self._data, self._comments
        self._size = 0
        self._forget()
        return [Event(name, b"\n".join(data), tuple(comments))] if data else []

    def _forget(self) -> None:
        self._name = ""
        self._data: list[bytes] = []
        self._comments: list[str] = []
