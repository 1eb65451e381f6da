"""What travels between instances: many envelopes to a frame, one frame to a PUBLISH.

MessagePack arrays; a new kind of envelope or field goes at the end, so that two versions understand
each other during a rolling upgrade: whoever does not know an envelope's kind drops the frame and
says so in the log.
"""

from typing import Final

import msgspec
from msgspec import Struct


class Tell(Struct, frozen=True, tag="t", array_like=True):
    kind: str
    key: str
    name: str
    body: bytes


class Ask(Struct, frozen=True, tag="a", array_like=True):
    ask_id: int
    kind: str
    key: str
    name: str
    body: bytes
    within_ms: int
    is_again: bool = False
    """The first of what was turned away before: from here on the order is right again."""


class Answered(Struct, frozen=True, tag="r", array_like=True):
    ask_id: int
    name: str
    body: bytes


class Failed(Struct, frozen=True, tag="f", array_like=True):
    """`error` is the name of an ActorError, or MOVED: ask whoever owns the slot by now."""

    ask_id: int
    error: str
    sentence: str = ""


class Publish(Struct, frozen=True, tag="p", array_like=True):
    """`frame` is a frame of protocol.server in MessagePack."""

    topics: tuple[str, ...]
    frame: bytes
    skip: str | None = None


class Reply(Struct, frozen=True, tag="y", array_like=True):
    connection_id: str
    frame: bytes


class Close(Struct, frozen=True, tag="c", array_like=True):
    topic: str
    code: int


class Interest(Struct, frozen=True, tag="i", array_like=True):
    """Topics somebody listens to here. `is_all`: these and no others."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    is_all: bool = False


class SlotsMoved(Struct, frozen=True, tag="m", array_like=True):
    """The directory has changed; look at it now rather than at the next beat."""


Envelope = Tell | Ask | Answered | Failed | Publish | Reply | Close | Interest | SlotsMoved
MOVED: Final = "Moved"


class Carry(Struct, frozen=True, tag="c", array_like=True):
    """Envelopes of `sender`, numbered by its link (see link.py), with what it has of ours."""

    sender: str
    life: int
    number: int
    has_life: int
    has_number: int
    body: msgspec.Raw


class Confirm(Struct, frozen=True, tag="k", array_like=True):
    """`sender` has everything up to `number`; `is_missing`: and needs what comes next again."""

    sender: str
    life: int
    number: int
    is_missing: bool = False


Frame = Carry | Confirm

encode = msgspec.msgpack.Encoder().encode
decode_frame = msgspec.msgpack.Decoder(Frame).decode
decode_body = msgspec.msgpack.Decoder(tuple[Envelope, ...]).decode
