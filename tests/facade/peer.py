"""A client of a stream without a network: it drives the app by hand.

`is_reading = False` makes it a client whose buffers are full: every `send` to it waits.
"""

import asyncio
import json
from typing import Any

from starlette.types import ASGIApp, Message

from tests.until import until


class Peer:
    def __init__(
        self,
        app: ASGIApp,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        client: tuple[str, int] = ("192.0.2.7", 4711),
        is_reading: bool = True,
    ) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.chunks: list[bytes] = []
        self.is_over = False
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self._reading = asyncio.Event()
        self.is_reading = is_reading
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
            "client": client,
            "server": ("kefu", 80),
        }
        self.task = asyncio.ensure_future(app(scope, self._incoming.get, self._take))

    async def _take(self, message: Message) -> None:
        await self._reading.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            chunk = message.get("body", b"")
            self.body += chunk
            self.chunks.append(chunk)
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

    def _blocks(self) -> list[dict[str, str]]:
        blocks = self.body.decode().split("\n\n")[:-1]
        return [
            dict(line.split(": ", 1) for line in b.splitlines() if ": " in line) for b in blocks
        ]

    @property
    def events(self) -> list[dict[str, Any]]:
        """All of them so far, but the farewell."""
        return [
            json.loads(block["data"])
            for block in self._blocks()
            if "data" in block and "event" not in block
        ]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def text(self) -> str:
        """What the bot said on a stream that asked it."""
        return "".join(event["content"] for event in self.heard("message"))

    @property
    def last_id(self) -> str:
        return next((b["id"] for b in reversed(self._blocks()) if "id" in b), "")

    @property
    def close_code(self) -> int | None:
        found = (json.loads(b["data"]) for b in self._blocks() if b.get("event") == "close")
        return next((each["code"] for each in found), None)

    @property
    def beats(self) -> int:
        return self.body.split(b"\n\n").count(b":")

    @property
    def answer(self) -> Any:
        """The body of what is no stream."""
        return json.loads(self.body)

    def heard(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type]

    async def hear(self, type: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th event of this type."""
        await until(lambda: len(self.heard(type)) >= count)
        return self.heard(type)[count - 1]

    async def end(self) -> "Peer":
        """Wait until the server has ended it."""
        async with asyncio.timeout(20):
            await self.task
        assert self.is_over
        return self

    async def leave(self) -> None:
        """Go away, and wait until the server has noticed."""
        self._incoming.put_nowait({"type": "http.disconnect"})
        async with asyncio.timeout(20):
            await self.task
