"""How the systems under load are spoken to: the same messages, each in its own framing."""

import json
from typing import NamedTuple, Protocol

import msgspec


class Heard(NamedTuple):
    """One frame, as far as the load generator cares."""

    kind: str
    chat_id: str = ""
    seq: int = 0
    client_message_id: str = ""
    status: str = ""


class Dialect(Protocol):
    def say(self, chat_id: str, client_message_id: str, content: str) -> bytes: ...
    def hear(self, body: bytes) -> Heard | None:
        """None for what carries no message."""
        ...


class _Payload(msgspec.Struct, frozen=True):
    chat_id: str = ""
    seq: int = 0
    client_message_id: str = ""
    status: str = ""


class _Frame(msgspec.Struct):
    type: str
    payload: _Payload = _Payload()


_read_frame = msgspec.json.Decoder(_Frame).decode
_read_event = msgspec.json.Decoder(tuple[str, _Payload]).decode


class Kefu:
    def say(self, chat_id: str, client_message_id: str, content: str) -> bytes:
        payload = {
            "content": content,
            "client_message_id": client_message_id,
            "chat_id": chat_id,
        }
        return json.dumps({"type": "send_message", "payload": payload}).encode()

    def hear(self, body: bytes) -> Heard | None:
        frame = _read_frame(body)
        p = frame.payload
        return Heard(frame.type, p.chat_id, p.seq, p.client_message_id, p.status)


class SocketIo:
    """Engine.IO 4 over a WebSocket: `42` begins an event, `2` is a ping."""

    def say(self, chat_id: str, client_message_id: str, content: str) -> bytes:
        payload = {"content": content, "client_message_id": client_message_id}
        return b"42" + json.dumps(["send_message", payload]).encode()

    def hear(self, body: bytes) -> Heard | None:
        if body.startswith(b"42"):
            kind, p = _read_event(body[2:])
            return Heard(kind, p.chat_id, p.seq, p.client_message_id, p.status)
        if body.startswith(b"40"):
            return Heard("connected")
        return Heard("ping") if body == b"2" else None
