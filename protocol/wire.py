"""Bytes to frames and back: one typed decoder per direction, built once, in JSON and MessagePack.

The good path decodes once. Only a frame that was refused is looked at again, to say why and to
answer under its own id.
"""

from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar, get_args

import msgspec

from protocol.agent import FromAgent, FromWorkbench
from protocol.codes import ERRORS, ErrorCode
from protocol.customer import FromCustomer, MessageType
from protocol.limits import CONTENT_CHARS, FrameId
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
    """Raw, because what was refused once is not built in memory the second time either."""

    type: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()
    payload: msgspec.Raw = msgspec.Raw()


class _Content(msgspec.Struct):
    content: str = ""


class _Kind(msgspec.Struct):
    message_type: str = "text"


Decode = Callable[..., Any]

# no UTF-8, or no text at all (a lone surrogate); nesting beyond the stack
UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


class Reader(Generic[F]):
    """Decodes the frames one kind of client may send. Never raises: it answers a Rejection."""

    def __init__(self, frames: Any) -> None:
        self._types = frozenset(frame.__struct_config__.tag for frame in get_args(frames))
        self._json: msgspec.json.Decoder[F] = msgspec.json.Decoder(frames)
        self._msgpack: msgspec.msgpack.Decoder[F] = msgspec.msgpack.Decoder(frames)

    def read_json(self, frame: str | bytes) -> F | Rejection:
        try:
            return self._json.decode(frame)
        except UNREADABLE as error:
            return self._explain(error, msgspec.json.decode, frame)

    def read_msgpack(self, frame: bytes) -> F | Rejection:
        try:
            return self._msgpack.decode(frame)
        except UNREADABLE as error:
            return self._explain(error, msgspec.msgpack.decode, frame)

    def _explain(self, error: Exception, decode: Decode, frame: str | bytes) -> Rejection:
        envelope: _Envelope = _read(decode, frame, _Envelope) or _Envelope()
        frame_id = _read(decode, envelope.id, FrameId)
        kind: str | None = _read(decode, envelope.type, str)
        if kind is not None and kind not in self._types:
            sentence = ERRORS[ErrorCode.UNKNOWN_TYPE].sentence
            return Rejection(ErrorCode.UNKNOWN_TYPE, sentence, frame_id)
        code = ErrorCode.INVALID_MESSAGE
        if kind == "send_message":
            code = _code(decode, envelope.payload)
        return Rejection(code, _sentence(error), frame_id)


def _read(decode: Decode, part: str | bytes | msgspec.Raw, type: Any) -> Any:
    """The part as that type, or None: it may be missing or anything else."""
    try:
        return decode(part, type=type)
    except UNREADABLE:
        return None


def _code(decode: Decode, payload: msgspec.Raw) -> ErrorCode:
    """The two mistakes in a message that have a code of their own."""
    sent: _Content | None = _read(decode, payload, _Content)
    if sent is not None and len(sent.content) > CONTENT_CHARS:
        return ErrorCode.CONTENT_TOO_LONG
    kind: _Kind | None = _read(decode, payload, _Kind)
    if kind is not None and kind.message_type not in get_args(MessageType):
        return ErrorCode.UNSUPPORTED_MESSAGE_TYPE
    return ErrorCode.INVALID_MESSAGE


def _sentence(error: Exception) -> str:
    """The decoder's own words name the place and the rule; where they repeat the value, ours."""
    if isinstance(error, RecursionError):
        return "The frame is nested too deeply."
    if not isinstance(error, msgspec.ValidationError):
        return "The frame is not valid JSON or MessagePack."
    words = str(error)
    rule, _, place = words.rpartition(" - at ")
    if "matching regex" in rule:
        return f"A text cannot hold the character NUL - at {place}"
    if words.startswith("Invalid ") and ("'" in words or '"' in words):
        return f"This value is not one of those allowed - at {place}"
    return words


from_customer: Final[Reader[FromCustomer]] = Reader(FromCustomer)
from_agent: Final[Reader[FromAgent]] = Reader(FromAgent)
from_workbench: Final[Reader[FromWorkbench]] = Reader(FromWorkbench)
from_server: Final[Reader[ToWorkbench]] = Reader(ToWorkbench)
