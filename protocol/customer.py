"""All that a customer may say on a socket. What they hear is in server.py.

Frames agents share with customers (send_message, typing ...) are defined here and used by agent.py.
"""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from protocol.limits import ClientMessageId, Content, Feedback, FrameId, Rating, Reason, Seq, Topic

MessageType = Literal["text", "image", "product"]


class ChatOpening(Struct, frozen=True, omit_defaults=True):
    topic: Topic | None = None
    order_id: UUID | None = None
    mode: Literal["human", "bot"] = "human"


class StartChat(Struct, frozen=True, tag_field="type", tag="start_chat"):
    payload: ChatOpening = ChatOpening()
    id: FrameId | None = None


class OutgoingMessage(Struct, frozen=True, omit_defaults=True):
    """For `image` the content is the URL of an upload, for `product` a product id."""

    content: Content
    message_type: MessageType = "text"
    chat_id: UUID | None = None
    client_message_id: ClientMessageId | None = None


class SendMessage(Struct, frozen=True, tag_field="type", tag="send_message"):
    payload: OutgoingMessage
    id: FrameId | None = None


class ChatChange(Struct, frozen=True, omit_defaults=True):
    chat_id: UUID | None = None
    reason: Reason | None = None


class RequestHuman(Struct, frozen=True, tag_field="type", tag="request_human"):
    payload: ChatChange = ChatChange()
    id: FrameId | None = None


class ReturnToBot(Struct, frozen=True, tag_field="type", tag="return_to_bot"):
    payload: ChatChange = ChatChange()
    id: FrameId | None = None


class ChatEnding(Struct, frozen=True, omit_defaults=True):
    chat_id: UUID | None = None
    rating: Rating | None = None
    feedback: Feedback | None = None


class EndChat(Struct, frozen=True, tag_field="type", tag="end_chat"):
    payload: ChatEnding = ChatEnding()
    id: FrameId | None = None


class ChatRating(Struct, frozen=True, omit_defaults=True):
    rating: Rating
    chat_id: UUID | None = None
    feedback: Feedback | None = None


class RateChat(Struct, frozen=True, tag_field="type", tag="rate_chat"):
    payload: ChatRating
    id: FrameId | None = None


class TypingState(Struct, frozen=True, omit_defaults=True):
    is_typing: bool
    chat_id: UUID | None = None


class Typing(Struct, frozen=True, tag_field="type", tag="typing"):
    payload: TypingState
    id: FrameId | None = None


class ReadMark(Struct, frozen=True, omit_defaults=True):
    seq: Seq
    chat_id: UUID | None = None


class MarkRead(Struct, frozen=True, tag_field="type", tag="mark_read"):
    payload: ReadMark
    id: FrameId | None = None


class ResumePoint(Struct, frozen=True):
    chat_id: UUID
    last_seq: Seq


class Resume(Struct, frozen=True, tag_field="type", tag="resume"):
    payload: ResumePoint
    id: FrameId | None = None


class Ping(Struct, frozen=True, tag_field="type", tag="ping"):
    id: FrameId | None = None


FromCustomer = (
    StartChat
    | SendMessage
    | RequestHuman
    | ReturnToBot
    | EndChat
    | RateChat
    | Typing
    | MarkRead
    | Resume
    | Ping
)
