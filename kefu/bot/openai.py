"""Anything that speaks OpenAI's chat completions and its language models.

Many servers speak it, each a little otherwise: the last event, the usage and the choices of an
event may be missing, and an error may come in the middle of a stream that began with 200.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from kefu.bot.http import Client, Reply, last_words, posted
from kefu.bot.options import OpenaiOptions
from kefu.bot.ports import (
    BadCredentials,
    Exhausted,
    Line,
    Overlong,
    ProviderError,
    Refused,
    Rejected,
    Shortened,
    Transient,
    Usage,
)
from kefu.bot.sse import Event
from kefu.clock import Clock

PATH: Final = "/chat/completions"
DONE: Final = b"[DONE]"
REFUSALS: Final = frozenset({"content_filter", "DataInspectionFailed", "data_inspection_failed"})
EXHAUSTIONS: Final = frozenset({"insufficient_quota", "Arrearage", "Throttling.AllocationQuota"})
OVERLONG: Final = "context_length_exceeded"


class _Words(Struct, frozen=True):
    content: str | None = None


class _Choice(Struct, frozen=True):
    """`message` where a server does not stream though it was asked to."""

    delta: _Words | None = None
    message: _Words | None = None
    finish_reason: str | None = None


class _Count(Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Mishap(Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None


class _Chunk(Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: _Count | None = None
    error: _Mishap | str | None = None


class Openai:
    """Implements `ports.Writer`."""

    def __init__(
        self,
        options: OpenaiOptions,
        client: Client,
        clock: Clock,
    ) -> None:
        self._options = options
        self._address = options.base_url.rstrip("/") + PATH
        self._client = client
        self._clock = clock
        self.usage = Usage()

    async def write(self, lines: Sequence[Line]) -> AsyncGenerator[str, None]:
        """See `Writer.write`."""
        headers = {"Accept": "text/event-stream"}
        if self._options.api_key is not None:
            headers["Authorization"] = f"Bearer {self._options.api_key.reveal()}"
        body: dict[str, Any] = {
            "model": self._options.model,
            "messages": lines,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with posted(self._client, self._address, body, headers) as reply:
            if reply.status != 200 or not reply.is_stream:
                yield self._whole(reply, await reply.small_body())
                return
            finish, now, events = "", self._clock.now(), reply.events()
            async for event in events:
                if event.data.strip() == DONE:
                    finish = finish or "stop"
                    break
                chunk = _decoded(event.data)
                _check(chunk, reply, now)
                self._count(chunk)
                choice = chunk.choices[0] if chunk.choices else _Choice()
                if choice.delta is not None and choice.delta.content:
                    yield choice.delta.content
                if choice.finish_reason:
                    finish = choice.finish_reason
                    break
            await last_words(events, self._note)
            _check_end(finish, reply)

    def _whole(self, reply: Reply, body: bytes) -> str:
        try:
            chunk = _decoded(body)
        except Rejected:
            chunk = _Chunk()
        _check(chunk, reply, self._clock.now())
        self._count(chunk)
        choice = chunk.choices[0] if chunk.choices else _Choice()
        if choice.message is None:
            raise Rejected("not_a_stream", trace=_trace(reply))
        return choice.message.content or ""

    def _note(self, event: Event) -> None:
        if event.data.strip() != DONE:
            self._count(_decoded(event.data))

    def _count(self, chunk: _Chunk) -> None:
        if chunk.usage is not None:
            self.usage.add(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)


def _decoded(raw: bytes) -> _Chunk:
    try:
        return msgspec.json.decode(raw, type=_Chunk)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Rejected("garbage") from None


def _check(chunk: _Chunk, reply: Reply, now: datetime) -> None:
    """Raises ProviderError for an error, before or inside the stream."""
    if chunk.error is not None or reply.status != 200:
        mishap = chunk.error if isinstance(chunk.error, _Mishap) else _Mishap()
        raise _failure(reply, mishap, now)


def _check_end(finish: str, reply: Reply) -> None:
    match finish:
        case "":
            raise Transient("broken_off", trace=_trace(reply))
        case "length":
            raise Shortened(finish, trace=_trace(reply))
        case "content_filter":
            raise Refused(finish, trace=_trace(reply))


def _failure(reply: Reply, mishap: _Mishap, now: datetime) -> ProviderError:
    """Some servers write the HTTP status into the code of an error inside a stream."""
    status = reply.status
    if status == 200 and isinstance(mishap.code, int):
        status = mishap.code
    words = {str(mishap.code), str(mishap.type)}
    code, trace = mishap.code or mishap.type or f"http_{status}", _trace(reply)
    pause = reply.retry_after_s(now)
    if words & REFUSALS:
        return Refused(code, trace=trace)
    if OVERLONG in words:
        return Overlong(code, trace=trace)
    if words & EXHAUSTIONS or status == 402:
        return Exhausted(code, trace=trace)
    if status == 401:
        return BadCredentials(code, trace=trace)
    is_passing = status in (200, 408, 409, 429) or status >= 500
    match reply.headers.get("x-should-retry"):
        case "true":
            is_passing = True
        case "false":
            is_passing = False
    kind = Transient if is_passing else Rejected
    return kind(code, retry_after_s=pause, trace=trace)


def _trace(reply: Reply) -> str | None:
    return reply.headers.get("x-request-id")
