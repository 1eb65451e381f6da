"""A person on a real socket: says frames, waits for frames, keeps what it was not waiting for."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio
from websockets.asyncio.client import ClientConnection, connect

WITHIN_S = 10.0


class Talker:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self._unused: list[dict[str, Any]] = []

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, token: str | None, *, in_query: bool = False, **options: Any
    ) -> AsyncIterator["Talker"]:
        """By the subprotocol pair, as browsers do, or with the token in the query."""
        if token is not None and in_query:
            url = f"{url}?token={token}"
        elif token is not None:
            options["subprotocols"] = ["kefu.v1", f"bearer.{token}"]
        async with connect(url, compression=None, proxy=None, max_queue=None, **options) as socket:
            yield cls(socket)

    async def send(self, type: str, payload: Any = None, **more: Any) -> None:
        frame = {"type": type, **more}
        if payload is not None:
            frame["payload"] = payload
        await self.raw(json.dumps(frame))

    async def raw(self, data: str | bytes) -> None:
        await self.socket.send(data)

    async def next(self) -> dict[str, Any]:
        """The next frame, whatever it is."""
        if self._unused:
            return self._unused.pop(0)
        with anyio.fail_after(WITHIN_S):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
        self.heard.append(frame)
        return frame

    async def expect(self, type: str, **payload: Any) -> dict[str, Any]:
        """The next frame of this type whose payload has these values; others are kept in order."""
        passed: list[dict[str, Any]] = []
        try:
            while True:
                frame = await self.next()
                found = frame.get("payload", {})
                if frame["type"] == type and all(
                    found.get(key) == value for key, value in payload.items()
                ):
                    return frame
                passed.append(frame)
        except TimeoutError:
            kinds = [frame["type"] for frame in passed]
            raise AssertionError(f"no {type} with {payload}; heard {kinds}") from None
        finally:
            self._unused = passed + self._unused

    async def settle(self) -> list[dict[str, Any]]:
        """Everything sent before now: what comes before the answer to a ping."""
        frame_id = f"settle-{uuid4().hex[:8]}"
        await self.send("ping", id=frame_id)
        frames = []
        while True:
            frame = await self.next()
            if frame["type"] == "pong" and frame.get("reply_to") == frame_id:
                return frames
            frames.append(frame)

    async def say(self, content: str, **payload: Any) -> dict[str, Any]:
        """Send a message and return its receipt's payload."""
        await self.send("send_message", {"content": content, **payload}, id=uuid4().hex)
        receipt: dict[str, Any] = (await self.expect("message_ack"))["payload"]
        return receipt

    async def start(self, **payload: Any) -> str:
        """Start a chat and return its id."""
        await self.send("start_chat", payload)
        chat_id: str = (await self.expect("chat_status"))["payload"]["chat_id"]
        return chat_id
