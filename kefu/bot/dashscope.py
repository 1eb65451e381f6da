"""DashScope's own API and its language models.

The stream has no last event: its end is one only behind a finish reason, which is the text "null"
until then. An event's HTTP status stands in a comment. Errors are told apart by status and code,
never by the words of the message.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from kefu.bot.http import Client, Reply, last_words, posted
from kefu.bot.options import DashscopeOptions
from kefu.bot.ports import (
    BadCredentials,
    Exhausted,
    Line,
    ProviderError,
    Refused,
    Rejected,
    Shortened,
    Transient,
    Usage,
)
from kefu.bot.sse import Event
from kefu.clock import Clock

PATH: Final = "/api/v1/services/aigc/text-generation/generation"
REFUSALS: Final = frozenset({"DataInspectionFailed", "data_inspection_failed"})
EXHAUSTIONS: Final = frozenset({"Throttling.AllocationQuota", "Arrearage", "insufficient_quota"})
STATUS: Final = "HTTP_STATUS/"


class _Words(Struct, frozen=True):
    content: str | None = None


class _Choice(Struct, frozen=True):
    message: _Words | None = None
    finish_reason: str | None = None


class _Output(Struct, frozen=True):
    """`choices`, or with an older result format `text`."""

    choices: list[_Choice] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Count(Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Result(Struct, frozen=True):
    output: _Output | None = None
    usage: _Count | None = None
    code: str | None = None
    request_id: str | None = None


class Dashscope:
    """Implements `ports.Writer`."""

    def __init__(
        self,
        options: DashscopeOptions,
        client: Client,
        clock: Clock,
    ) -> None:
        self._options = options
        self._address = options.api_base.rstrip("/").removesuffix("/api/v1") + PATH
        self._client = client
        self._clock = clock
        self.usage = Usage()

    async def write(self, lines: Sequence[Line]) -> AsyncGenerator[str, None]:
        """See `Writer.write`."""
        headers = {
            "Authorization": f"Bearer {self._options.api_key.reveal()}",
            "Accept": "text/event-stream",
            "X-DashScope-SSE": "enable",
        }
        async with posted(self._client, self._address, self._body(lines), headers) as reply:
            if not reply.is_stream:
                yield self._whole(reply, await reply.small_body())
                return
            finish, events = "", reply.events()
            async for event in events:
                result = _decoded(event.data)
                self._check(result, _status(event, reply), reply)
                if piece := _content(result):
                    yield piece
                if finish := _finish(result):
                    self._count(result)
                    break
            await last_words(events, lambda _: None)
            _check_end(finish, reply)

    def _whole(self, reply: Reply, body: bytes) -> str:
        try:
            result = _decoded(body)
        except Rejected:
            result = _Result()
        self._check(result, reply.status, reply)
        self._count(result)
        if result.output is None:
            raise Rejected("not_a_stream", trace=_trace(reply))
        return _content(result)

    def _check(self, result: _Result, status: int, reply: Reply) -> None:
        """Raises ProviderError for an error, before or inside the stream."""
        if status != 200 or result.code:
            raise _failure(reply, status, result, self._clock.now())

    def _body(self, lines: Sequence[Line]) -> dict[str, Any]:
        return {
            "model": self._options.model,
            "input": {"messages": lines},
            "parameters": {
                "result_format": "message",
                "incremental_output": True,
                "enable_thinking": False,
            },
        }

    def _count(self, result: _Result) -> None:
        if result.usage is not None:
            self.usage.add(result.usage.input_tokens, result.usage.output_tokens)


def _decoded(raw: bytes) -> _Result:
    try:
        return msgspec.json.decode(raw, type=_Result)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Rejected("garbage") from None


def _content(result: _Result) -> str:
    output = result.output or _Output()
    if output.choices:
        message = output.choices[0].message
        return (message.content if message else None) or ""
    return output.text or ""


def _finish(result: _Result) -> str:
    output = result.output or _Output()
    reason = output.choices[0].finish_reason if output.choices else output.finish_reason
    return "" if reason in (None, "null") else str(reason)


def _check_end(finish: str, reply: Reply) -> None:
    if not finish:
        raise Transient("broken_off", trace=_trace(reply))
    if finish == "length":
        raise Shortened(finish, trace=_trace(reply))


def _status(event: Event, reply: Reply) -> int:
    for comment in event.comments:
        digits = comment.strip().removeprefix(STATUS)
        if digits.isascii() and digits.isdigit() and len(digits) == 3:
            return int(digits)
    return 400 if event.name == "error" and reply.status == 200 else reply.status


def _failure(reply: Reply, status: int, result: _Result, now: datetime) -> ProviderError:
    code, trace = result.code or f"http_{status}", result.request_id or _trace(reply)
    if code in REFUSALS:
        return Refused(code, trace=trace)
    if code in EXHAUSTIONS:
        return Exhausted(code, trace=trace)
    if status == 401 or code == "InvalidApiKey":
        return BadCredentials(code, trace=trace)
    if status in (408, 429) or status >= 500:
        return Transient(code, retry_after_s=reply.retry_after_s(now), trace=trace)
    return Rejected(code, trace=trace)


def _trace(reply: Reply) -> str | None:
    return reply.headers.get("x-request-id")
