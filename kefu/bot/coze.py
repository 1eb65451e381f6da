"""A Coze workflow: the shop's own flow answers, in a conversation that Coze remembers.

Every answer comes twice, as deltas and whole: only the deltas are taken. Coze says that a call has
failed with HTTP 200, in JSON where a stream was asked for, or with an event in one of two shapes.
"""

import logging
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Final, assert_never

import msgspec
from msgspec import Struct

from kefu.bot.coze_tokens import CozeTokens
from kefu.bot.http import Client, Reply, last_words, posted
from kefu.bot.options import CozeOptions
from kefu.bot.ports import (
    Ask,
    BadCredentials,
    Exhausted,
    LostConversation,
    Overlong,
    ProviderError,
    Refused,
    Rejected,
    Transient,
    Usage,
)
from kefu.bot.sse import Event
from kefu.clock import Clock

CREATE: Final = "/v1/conversation/create"
CHAT: Final = "/v1/workflows/chat"
KINDS: Final[dict[int, type[ProviderError]]] = {
    **dict.fromkeys((4009, 4013, 4016, 4020, 5000, 720701013), Transient),
    **dict.fromkeys((4100, 700012006), BadCredentials),
    **dict.fromkeys((4008, 4011, 4019, 4022, 4101, 4102), Exhausted),
    **dict.fromkeys((4014, 4105), Refused),
    4010: Overlong,
    4002: LostConversation,
}
KNOWN: Final = (
    "conversation.chat.completed",
    "conversation.message.delta",
    "conversation.message.completed",
    "conversation.chat.requires_action",
    "conversation.chat.failed",
    "error",
    "done",
    "",
)
EARLIER: Final = 49
"""Coze takes 50 messages at once, the question among them."""
OCCUPIED: Final = 4016
OCCUPIED_S: Final = 1.0
log = logging.getLogger("kefu.bot")

Code = int | str | None


class _Count(Struct, frozen=True):
    input_count: int | None = None
    output_count: int | None = None


class _Mishap(Struct, frozen=True):
    code: Code = None


class _Message(Struct, frozen=True):
    """Every event's data: messages, chats and both shapes of failure."""

    id: Code = None
    role: str | None = None
    type: str | None = None
    content: str | None = None
    content_type: str | None = None
    usage: _Count | None = None
    last_error: _Mishap | None = None
    code: Code = None


class _Conversation(Struct, frozen=True):
    id: Code = None


class _Body(Struct, frozen=True):
    code: Code = None
    data: _Conversation | None = None


class Coze:
    """Implements `ports.Provider`."""

    def __init__(
        self, options: CozeOptions, client: Client, tokens: CozeTokens, clock: Clock
    ) -> None:
        self._options = options
        self._address = options.api_base.rstrip("/")
        self._client = client
        self._tokens = tokens
        self._clock = clock
        self.usage = Usage()

    async def new_conversation(self, session: str) -> str:
        """See `Maker.new_conversation`."""
        for is_last in (False, True):
            access = await self._tokens.get(session)
            try:
                return await self._create(access)
            except BadCredentials:
                self._tokens.forget(session, access)
                if is_last:
                    raise
        raise AssertionError("unreachable")

    async def stream(self, ask: Ask) -> AsyncGenerator[str, None]:
        """See `Provider.stream`."""
        for is_last in (False, True):
            access, has_spoken = await self._tokens.get(ask.session), False
            headers = {"Authorization": f"Bearer {access}", "Accept": "text/event-stream"}
            try:
                async with posted(
                    self._client, self._address + CHAT, self._question(ask), headers
                ) as reply:
                    if not reply.is_stream:
                        raise _failure(reply, _body(await reply.small_body()), self._clock.now())
                    reader = _Chat(reply, self.usage, self._clock.now())
                    events = reply.events()
                    async for event in events:
                        for piece in reader.take(event):
                            has_spoken = True
                            yield piece
                        if reader.is_over:
                            break
                    reader.check_end()
                    await last_words(events, reader.take)
                return
            except BadCredentials:
                self._tokens.forget(ask.session, access)
                if is_last or has_spoken:
                    raise

    async def _create(self, access: str) -> str:
        headers = {"Authorization": f"Bearer {access}"}
        async with posted(self._client, self._address + CREATE, {}, headers) as reply:
            body = _body(await reply.small_body())
            if _number(body.code) == 0 and body.data is not None and body.data.id:
                return str(body.data.id)
            raise _failure(reply, body, self._clock.now())

    def _question(self, ask: Ask) -> dict[str, Any]:
        earlier = ask.earlier[-EARLIER:] if ask.is_new else ()
        body: dict[str, Any] = {
            "workflow_id": self._options.workflow_id,
            "app_id": self._options.app_id,
            "conversation_id": ask.conversation_id,
            "additional_messages": [
                *(_additional(said.by == "customer", said.content) for said in earlier),
                _additional(True, ask.text),
            ],
            "parameters": {"USER_INPUT": ask.text},
        }
        if self._options.session_name_in_body:
            body["session_name"] = ask.session
        return body


def _additional(is_customer: bool, content: str) -> dict[str, str]:
    role, kind = ("user", "question") if is_customer else ("assistant", "answer")
    return {"role": role, "type": kind, "content": content, "content_type": "text"}


class _Chat:
    """The events of one turn, put together. Several answers are parted by a newline."""

    def __init__(self, reply: Reply, usage: Usage, now: datetime) -> None:
        self._reply = reply
        self._usage = usage
        self._now = now
        self._texts: dict[str, str] = {}
        self._current: str | None = None
        self.is_over = False

    def take(self, event: Event) -> list[str]:
        """The pieces it brings. Raises ProviderError."""
        if event.name not in KNOWN or (self.is_over and event.name != KNOWN[0]):
            return []
        message = _message(event)
        match event.name:
            case "conversation.message.delta":
                return self._said(message, message.content or "")
            case "conversation.message.completed" if message.type == "verbose":
                self.is_over = "generate_answer_finish" in (message.content or "")
            case "conversation.message.completed":
                return self._said(message, self._rest(message))
            case "conversation.chat.completed":
                self._count(message)
                self.is_over = True
            case "conversation.chat.requires_action" | "done":
                self.is_over = True
            case "conversation.chat.failed" | "error":
                raise self._failed(message)
            case "" if _number(message.code):
                raise self._failed(message)
        return []

    def check_end(self) -> None:
        """Raises ProviderError when the stream ended before the answer did."""
        if not self.is_over and self._reply.status != 200:
            raise _failure(self._reply, _Body(), self._now)
        if not self.is_over:
            raise Transient("broken_off", trace=_trace(self._reply))

    def _said(self, message: _Message, text: str) -> list[str]:
        is_answer = message.type == "answer" and message.content_type in (None, "", "text")
        if not is_answer or not text:
            return []
        id = str(message.id)
        is_next = self._current not in (None, id)
        self._current = id
        self._texts[id] = self._texts.get(id, "") + text
        return ["\n", text] if is_next else [text]

    def _rest(self, message: _Message) -> str:
        """What a finished message holds beyond its deltas: all of it where there were none."""
        whole, heard = message.content or "", self._texts.get(str(message.id), "")
        if whole.startswith(heard):
            return whole.removeprefix(heard)
        log.info("bot_answer_differs", extra={"trace_id": _trace(self._reply)})
        return ""

    def _count(self, message: _Message) -> None:
        if message.usage is not None:
            self._usage.add(message.usage.input_count, message.usage.output_count)

    def _failed(self, message: _Message) -> ProviderError:
        code = message.code
        if message.last_error is not None and _number(message.last_error.code):
            code = message.last_error.code
        return _error(code, self._reply)


def _message(event: Event) -> _Message:
    try:
        return msgspec.json.decode(event.data, type=_Message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if event.name in ("done", "conversation.chat.completed"):
            return _Message()  # "[DONE]": that it is over is all it says
        raise Rejected("garbage") from None


def _body(raw: bytes) -> _Body:
    try:
        return msgspec.json.decode(raw, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Body()


def _failure(reply: Reply, body: _Body, now: datetime) -> ProviderError:
    """What an answer means that is no stream: its own code first, then its HTTP status."""
    if _number(body.code):
        return _error(body.code, reply)
    code, trace = f"http_{reply.status}", _trace(reply)
    if reply.status == 401:
        return BadCredentials(code, trace=trace)
    if reply.status in (408, 429) or reply.status >= 500:
        return Transient(code, retry_after_s=reply.retry_after_s(now), trace=trace)
    return Rejected(code if reply.status != 200 else "not_a_stream", trace=trace)


def _error(code: Code, reply: Reply) -> ProviderError:
    number = _number(code)
    if number is None:
        return Transient("error", trace=_trace(reply))
    pause = OCCUPIED_S if number == OCCUPIED else None
    return KINDS.get(number, Rejected)(number, retry_after_s=pause, trace=_trace(reply))


def _number(code: Code) -> int | None:
    match code:
        case None:
            return None
        case int():
            return code
        case str():
            return int(code) if code.isascii() and code.isdigit() and len(code) < 16 else None
        case _:
            assert_never(code)


def _trace(reply: Reply) -> str | None:
    return reply.headers.get("x-tt-logid")
