"""A person without a WebSocket: a browser's EventSource for what comes, POSTs for what goes.

It reads only when it is asked for the next frame, and remembers the last event id as browsers do.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio
import httpx

from tests.talk import WITHIN_S

PATH = "/api/chat/frames"


class EventSource:
    """One opened stream. `frames` is all that it has heard, `beats` how many comments."""

    def __init__(self, response: httpx.Response, last_id: str) -> None:
        self.response = response
        self.last_id = last_id
        self.retry_ms = 0
        self.frames: list[dict[str, Any]] = []
        self.beats = 0
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next frame; the farewell is one of type "close"."""
        kind, data = "message", ""
        with anyio.fail_after(WITHIN_S):
            async for line in self._lines:
                field, _, value = line.partition(": ")
                match field:
                    case "id":
                        self.last_id = value
                    case "retry":
                        self.retry_ms = int(value)
                    case "event":
                        kind = value
                    case "data":
                        data = value
                    case ":":
                        self.beats += 1
                    case "" if data:
                        return self._heard(kind, data)
        raise AssertionError(f"the stream ended; heard {[f['type'] for f in self.frames]}")

    def _heard(self, kind: str, data: str) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(data)
        if kind != "message":
            frame = {"type": kind, "payload": frame}
        self.frames.append(frame)
        return frame

    async def expect(self, type: str, **payload: Any) -> dict[str, Any]:
        """Read on until a frame of this type whose payload has these values."""
        while True:
            frame = await self.next()
            found = frame.get("payload", {})
            if frame["type"] == type and payload.items() <= found.items():
                return frame

    def heard(self, type: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == type]


class Poster:
    """One person who speaks by POST, with the token in the header."""

    def __init__(self, url: str, token: str | None, **options: Any) -> None:
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        self.client = httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, **options)

    async def __aenter__(self) -> "Poster":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    @asynccontextmanager
    async def listening(self, last_id: str = "", **params: str) -> AsyncIterator[EventSource]:
        headers = {"last-event-id": last_id} if last_id else {}
        async with self.client.stream(
            "GET", PATH, headers=headers, params=params, timeout=None
        ) as response:
            assert response.status_code == 200, await response.aread()
            yield EventSource(response, last_id)

    async def post(self, *frames: dict[str, Any]) -> list[dict[str, Any]]:
        """Say frames; the frames they caused."""
        answer = await self.client.post(PATH, json=list(frames))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["success"] is True
        caused: list[dict[str, Any]] = body["data"]["frames"]
        return caused

    async def say(self, content: str, **payload: Any) -> dict[str, Any]:
        """Send a message; its receipt's payload."""
        caused = await self.post(frame("send_message", content=content, **payload))
        (receipt,) = [each["payload"] for each in caused if each["type"] == "message_ack"]
        return receipt

    async def start(self, **payload: Any) -> str:
        """Start a chat; its id."""
        (status,) = await self.post(frame("start_chat", **payload))
        chat_id: str = status["payload"]["chat_id"]
        return chat_id


def frame(type: str, **payload: Any) -> dict[str, Any]:
    return {"type": type, "payload": payload, "id": uuid4().hex}
