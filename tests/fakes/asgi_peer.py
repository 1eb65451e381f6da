"""The client's end of a socket without a network: it drives an ASGI app by hand.

`is_reading = False` makes it a client whose buffers are full: every `send` to it waits.
"""

import asyncio
import json
from typing import Any

from starlette.types import ASGIApp, Message

from tests.until import until


class AsgiPeer:
    def __init__(
        self,
        app: ASGIApp,
        path: str = "/ws/chat",
        *,
        query: str = "",
        protocols: tuple[str, ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.sent: list[Message] = []
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._reading = asyncio.Event()
        self._reading.set()
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": "ws",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            "subprotocols": list(protocols),
            "extensions": {"websocket.http.response": {}},
        }
        self._incoming.put_nowait({"type": "websocket.connect"})
        run = app(scope, self._incoming.get, self._take)
        self.task = asyncio.ensure_future(run)

    async def _take(self, message: Message) -> None:
        await self._reading.wait()
        self.sent.append(message)

    @property
    def is_reading(self) -> bool:
        return self._reading.is_set()

    @is_reading.setter
    def is_reading(self, value: bool) -> None:
        if value:
            self._reading.set()
        else:
            self._reading.clear()

    def say(self, type: str, payload: Any = None, **more: Any) -> None:
        self.raw(json.dumps({"type": type, "payload": payload or {}, **more}))

    def raw(self, data: str | bytes) -> None:
        key = "bytes" if isinstance(data, bytes) else "text"
        self._incoming.put_nowait({"type": "websocket.receive", key: data})

    @property
    def unread(self) -> int:
        """Frames the server's reader has not taken yet."""
        return self._incoming.qsize()

    @property
    def frames(self) -> list[dict[str, Any]]:
        """Every text frame it was sent."""
        return [json.loads(each["text"]) for each in self.sent if "text" in each]

    def heard(self, type: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == type]

    @property
    def close_code(self) -> int | None:
        return next((m["code"] for m in self.sent if m["type"] == "websocket.close"), None)

    async def hear(self, type: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th frame of this type."""
        await until(lambda: len(self.heard(type)) >= count)
        return self.heard(type)[count - 1]

    async def leave(self) -> None:
        """Go away, and wait until the server has noticed."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1005})
        await self.task
