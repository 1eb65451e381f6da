"""What the upstream does next, and what it was asked: the two ends by which a test holds it."""

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import anyio
import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Call = Literal["token", "conversation", "chat", "dashscope", "openai"]
PIECES = ("您好", "，这件", "商品支持", "七天无理由退货。", "\u2028运费", "由我们承担 🙂")


class Behaviour(Struct, frozen=True, kw_only=True):
    """How one call is answered. Untouched, it is answered well.

    `body` replaces the whole answer, `transcript` only the events made of `pieces`. The counts are
    of bytes of the body: `cut_at` loses the connection there, `ends_at` ends politely too early,
    `hangs_at` says nothing more.
    """

    pieces: tuple[str, ...] = PIECES
    transcript: bytes | None = None
    status: int = 200
    headers: dict[str, str] = {}
    content_type: str | None = None
    body: bytes | None = None
    waits_for: anyio.Event | None = None
    cut_at: int | None = None
    ends_at: int | None = None
    hangs_at: int | None = None
    chunk_bytes: int | None = None
    tokens_per_s: float | None = None


def refused(status: int, body: object, **headers: str) -> Behaviour:
    """An answer in JSON instead of what was asked for."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Behaviour(status=status, body=msgspec.json.encode(body), headers=named)


class Seen(Struct):
    """One call. `was_left` is set when the caller hung up before the answer was whole."""

    call: Call
    headers: Mapping[str, str]
    body: dict[str, Any]
    was_left: anyio.Event


class Upstream:
    """Remembers the last 1,000 calls."""

    def __init__(self) -> None:
        self.seen: deque[Seen] = deque(maxlen=1000)
        self._next: defaultdict[Call, deque[Behaviour]] = defaultdict(deque)
        self._always: dict[Call, Behaviour] = {}

    def next(self, call: Call, *behaviours: Behaviour) -> None:
        """The next calls are answered so, one after another; those behind them well again."""
        self._next[call].extend(behaviours)

    def always(self, call: Call, behaviour: Behaviour) -> None:
        self._always[call] = behaviour

    def calls(self, call: Call) -> list[Seen]:
        return [seen for seen in self.seen if seen.call == call]

    async def take(self, call: Call, request: Request) -> tuple[Behaviour, Seen]:
        """Write the call down, and say how it is to be answered."""
        body = msgspec.json.decode(await request.body() or b"{}")
        seen = Seen(call, dict(request.headers), body, anyio.Event())
        self.seen.append(seen)
        waiting = self._next[call]
        behaviour = waiting.popleft() if waiting else self._always.get(call, Behaviour())
        if behaviour.waits_for is not None:
            await behaviour.waits_for.wait()
        return behaviour, seen


class Played(Response):
    """An answer as the behaviour wants it: paced, chopped, cut or hanging."""

    def __init__(
        self, behaviour: Behaviour, seen: Seen, body: bytes, content_type: str = "application/json"
    ) -> None:
        self._behaviour = behaviour
        self._seen = seen
        self._whole = behaviour.transcript if behaviour.transcript is not None else body
        if behaviour.body is not None:
            self._whole, content_type = behaviour.body, "application/json"
        self._type = behaviour.content_type or content_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        behaviour = self._behaviour
        headers = {"content-type": self._type, **behaviour.headers}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        head = {"type": "http.response.start", "status": behaviour.status, "headers": raw}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, receive, tasks.cancel_scope)
            await send(head)
            async for chunk in self._chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if behaviour.hangs_at is not None:
                await anyio.sleep_forever()
            if behaviour.cut_at is None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()

    async def _watch(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._seen.was_left.set()
        scope.cancel()

    async def _chunks(self) -> AsyncIterator[bytes]:
        behaviour, pace = self._behaviour, self._behaviour.tokens_per_s
        limits = (behaviour.cut_at, behaviour.ends_at, behaviour.hangs_at)
        end = min((limit for limit in limits if limit is not None), default=len(self._whole))
        body = self._whole[:end]
        if behaviour.chunk_bytes is not None:
            size = behaviour.chunk_bytes
            parts = [body[at : at + size] for at in range(0, len(body), size)]
        elif pace is not None:
            parts = [part + b"\n\n" for part in body.split(b"\n\n") if part]
        else:
            parts = [body]
        for part in parts:
            if pace is not None:
                await anyio.sleep(1 / pace)
            yield part
