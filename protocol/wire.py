"""Bytes to frames and back: one typed decoder per direction, built once, in JSON and MessagePack.

The good path decodes once. Only a frame that was refused is looked at again, to say why and to
answer under its own id.
"""

from typing import Any, Final, Generic, NamedTuple, TypeVar, get_args

import msgspec

from protocol.agent import FromAgent, FromWorkbench
from protocol.codes import ErrorCode
from protocol.customer import FromCustomer, MessageType
from protocol.limits import CONTENT_CHARS
from protocol.server import ToWorkbench

F = TypeVar("F")

encode_json: Final = msgspec.json.Encoder().encode
encode_msgpack: Final = msgspec.msgpack.Encoder().encode


class Rejection(NamedTuple):
    """Why a frame was refused; `frame_id` is the client's own id for it where one could be read."""

    code: ErrorCode
    sentence: str
    frame_id: str | None = None


class _Envelope(msgspec.Struct):
    type: Any = None
    id: Any = None
    payload: Any = None


# bytes that are no UTF-8, nesting beyond the stack: what the decoder raises besides its own error
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Reader(Generic[F]):
    """Decodes the frames one kind of client may send."""

    def __init__(self, frames: Any) -> None:
        self._types = frozenset(frame.__struct_config__.tag for frame in get_args(frames))
        self._json: msgspec.json.Decoder[F] = msgspec.json.Decoder(frames)
        self._msgpack: msgspec.msgpack.Decoder[F] = msgspec.msgpack.Decoder(frames)

    def read_json(self, frame: str | bytes) -> F | Rejection:
        try:
            return self._json.decode(frame)
        except UNREADABLE as error:
            return self._explain(error, msgspec.json.Decoder(_Envelope), frame)

    def read_msgpack(self, frame: bytes) -> F | Rejection:
        try:
            return self._msgpack.decode(frame)
        except UNREADABLE as error:
            return self._explain(error, msgspec.msgpack.Decoder(_Envelope), frame)

    def _explain(self, error: Exception, loose: Any, frame: str | bytes) -> Rejection:
        try:
            envelope = loose.decode(frame)
        except UNREADABLE:
            return Rejection(ErrorCode.INVALID_MESSAGE, _sentence(error))
        frame_id = envelope.id if _is_frame_id(envelope.id) else None
        if isinstance(envelope.type, str) and envelope.type not in self._types:
            sentence = f"There is no message type {envelope.type[:40]!r} here."
            return Rejection(ErrorCode.UNKNOWN_TYPE, sentence, frame_id)
        return Rejection(_code(envelope), _sentence(error), frame_id)


def _is_frame_id(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64


def _code(envelope: _Envelope) -> ErrorCode:
    payload = envelope.payload
    if envelope.type == "send_message" and isinstance(payload, dict):
        content = payload.get("content")
        if isinstance(content, str) and len(content) > CONTENT_CHARS:
            return ErrorCode.CONTENT_TOO_LONG
        kind = payload.get("message_type", "text")
        if isinstance(kind, str) and kind not in get_args(MessageType):
            return ErrorCode.UNSUPPORTED_MESSAGE_TYPE
    return ErrorCode.INVALID_MESSAGE


def _sentence(error: Exception) -> str:
    """The decoder's own words name the place and the rule, never the value that was sent."""
    if isinstance(error, msgspec.ValidationError):
        return str(error)[:300]
    if isinstance(error, RecursionError):
        return "The frame is nested too deeply."
    return "The frame is not valid JSON or MessagePack."


from_customer: Final[Reader[FromCustomer]] = Reader(FromCustomer)
from_agent: Final[Reader[FromAgent]] = Reader(FromAgent)
from_workbench: Final[Reader[FromWorkbench]] = Reader(FromWorkbench)
from_server: Final[Reader[ToWorkbench]] = Reader(ToWorkbench)
