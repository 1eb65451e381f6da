"""The client's end of a stream without a network: it drives the HTTP app by hand.

`is_reading = False` makes it a client whose buffers are full: every `send` to it waits.
"""

import asyncio
import json
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message

from tests.until import until


class Event(NamedTuple):
    kind: str
    frame: dict[str, Any]
    id: str | None
    """Left out where the last one stands."""


class StreamPeer:
    def __init__(self, app: ASGIApp, *, query: str = "", last_id: str = "") -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.is_over = False
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self._reading = asyncio.Event()
        self._reading.set()
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/chat/frames",
            "query_string": query.encode(),
            "headers": [(b"last-event-id", last_id.encode())] if last_id else [],
            "client": ("192.0.2.7", 4711),
        }
        self.task = asyncio.ensure_future(app(scope, self._incoming.get, self._take))

    async def _take(self, message: Message) -> None:
        await self._reading.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        else:
            self.body += message.get("body", b"")
            self.is_over = not message.get("more_body", False)

    @property
    def is_reading(self) -> bool:
        return self._reading.is_set()

    @is_reading.setter
    def is_reading(self, value: bool) -> None:
        if value:
            self._reading.set()
        else:
            self._reading.clear()

    @property
    def events(self) -> list[Event]:
        """All of them so far, without comments and the retry line."""
        found = []
        for block in self.body.decode().split("\n\n"):
            lines = [line.partition(": ") for line in block.splitlines()]
            fields = {name: value for name, _, value in lines if name}
            if "data" in fields:
                kind = fields.get("event", "message")
                found.append(Event(kind, json.loads(fields["data"]), fields.get("id")))
        return found

    @property
    def beats(self) -> int:
        return self.body.split(b"\n\n").count(b":")

    @property
    def last_id(self) -> str:
        return next((event.id for event in reversed(self.events) if event.id is not None), "")

    def heard(self, type: str) -> list[dict[str, Any]]:
        return [event.frame for event in self.events if event.frame.get("type") == type]

    @property
    def close_code(self) -> int | None:
        return next((e.frame["code"] for e in self.events if e.kind == "close"), None)

    async def hear(self, type: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th frame of this type."""
        await until(lambda: len(self.heard(type)) >= count)
        return self.heard(type)[count - 1]

    async def leave(self) -> None:
        """Go away, and wait until the server has noticed."""
        self._incoming.put_nowait({"type": "http.disconnect"})
        await self.task
