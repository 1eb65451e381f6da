"""The frames of a customer as pydantic has them: `python -m bench.peers.python.pydantic_frames N`.

Field for field what `protocol/customer.py` and `protocol/server.py` ask for.
"""

import json
import sys
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter

from bench.frames import READ, WRITTEN
from bench.stopwatch import best_ns

Id = Annotated[str, Field(max_length=64)]
Short = Annotated[str, Field(max_length=2000)]
Rating = Annotated[int, Field(ge=1, le=5)]
Seq = Annotated[int, Field(ge=0)]


class Opening(BaseModel):
    topic: Annotated[str, Field(max_length=200)] | None = None
    order_id: UUID | None = None
    mode: Literal["human", "bot"] = "human"


class Text(BaseModel):
    content: Annotated[str, Field(min_length=1, max_length=4000)]
    message_type: Literal["text", "image", "product"] = "text"
    chat_id: UUID | None = None
    client_message_id: Id | None = None


class Change(BaseModel):
    chat_id: UUID | None = None
    reason: Short | None = None


class Ending(BaseModel):
    chat_id: UUID | None = None
    rating: Rating | None = None
    feedback: Short | None = None


class Mark(BaseModel):
    seq: Seq
    chat_id: UUID | None = None


class Point(BaseModel):
    chat_id: UUID
    last_seq: Seq


class TypingState(BaseModel):
    is_typing: bool
    chat_id: UUID | None = None


class StartChat(BaseModel):
    type: Literal["start_chat"]
    payload: Opening = Opening()
    id: Id | None = None


class SendMessage(BaseModel):
    type: Literal["send_message"]
    payload: Text
    id: Id | None = None


class RequestHuman(BaseModel):
    type: Literal["request_human"]
    payload: Change = Change()
    id: Id | None = None


class ReturnToBot(BaseModel):
    type: Literal["return_to_bot"]
    payload: Change = Change()
    id: Id | None = None


class EndChat(BaseModel):
    type: Literal["end_chat"]
    payload: Ending = Ending()
    id: Id | None = None


class RateChat(BaseModel):
    type: Literal["rate_chat"]
    payload: Ending
    id: Id | None = None


class Typing(BaseModel):
    type: Literal["typing"]
    payload: TypingState
    id: Id | None = None


class MarkRead(BaseModel):
    type: Literal["mark_read"]
    payload: Mark
    id: Id | None = None


class Resume(BaseModel):
    type: Literal["resume"]
    payload: Point
    id: Id | None = None


class Ping(BaseModel):
    type: Literal["ping"]
    id: Id | None = None


Frame = Annotated[
    StartChat
    | SendMessage
    | RequestHuman
    | ReturnToBot
    | EndChat
    | RateChat
    | Typing
    | MarkRead
    | Resume
    | Ping,
    Field(discriminator="type"),
]


class Message(BaseModel):
    chat_id: UUID
    message_id: UUID
    seq: int
    sender_type: Literal["customer", "agent", "ai", "system"]
    content: str
    timestamp: datetime
    message_type: Literal["text", "image", "product", "system"] = "text"
    sender_id: UUID | None = None
    sender_name: str | None = None
    client_message_id: str | None = None


class NewMessage(BaseModel):
    type: Literal["new_message"]
    payload: Message
    timestamp: datetime
    reply_to: str | None = None


def main() -> None:
    rounds = int(sys.argv[1])
    reader: TypeAdapter[Frame] = TypeAdapter(Frame)
    frame = NewMessage.model_validate(WRITTEN)
    assert isinstance(reader.validate_json(READ), SendMessage)
    figures = {
        "read_ns": best_ns(lambda: reader.validate_json(READ), rounds),
        "write_ns": best_ns(lambda: frame.model_dump_json(exclude_none=True).encode(), rounds),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
