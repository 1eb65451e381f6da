"""All that an agent may say: on any socket (FromAgent) and on the workbench (FromWorkbench)."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from protocol.customer import (
    EndChat,
    MarkRead,
    Ping,
    Resume,
    SendMessage,
    Typing,
)
from protocol.limits import Content, FeedId, FrameId, Reason, Seq

AgentStatusName = Literal["online", "busy", "break", "lunch", "training", "offline"]


class ChatChoice(Struct, frozen=True):
    chat_id: UUID


class AcceptChat(Struct, frozen=True, tag_field="type", tag="accept_chat"):
    payload: ChatChoice
    id: FrameId | None = None


class DeclineOffer(Struct, frozen=True, tag_field="type", tag="decline_offer"):
    payload: ChatChoice
    id: FrameId | None = None


class ReleaseChat(Struct, frozen=True, tag_field="type", tag="release_chat"):
    payload: ChatChoice
    id: FrameId | None = None


class TakeOverChat(Struct, frozen=True, tag_field="type", tag="take_over_chat"):
    payload: ChatChoice
    id: FrameId | None = None


class WatchChat(Struct, frozen=True, tag_field="type", tag="watch_chat"):
    payload: ChatChoice
    id: FrameId | None = None


class UnwatchChat(Struct, frozen=True, tag_field="type", tag="unwatch_chat"):
    payload: ChatChoice
    id: FrameId | None = None


class ChatTransfer(Struct, frozen=True, omit_defaults=True):
    """To an agent or to a team; `offer` asks the agent even when a place is free."""

    chat_id: UUID
    to_agent_id: UUID | None = None
    to_team_id: UUID | None = None
    reason: Reason | None = None
    note: Content | None = None
    offer: bool = False

    def __post_init__(self) -> None:
        if (self.to_agent_id is None) == (self.to_team_id is None):
            raise ValueError("Expected exactly one of `to_agent_id` and `to_team_id`")


class TransferChat(Struct, frozen=True, tag_field="type", tag="transfer_chat"):
    payload: ChatTransfer
    id: FrameId | None = None


class TransferAnswer(Struct, frozen=True):
    request_id: UUID
    accept: bool


class RespondTransfer(Struct, frozen=True, tag_field="type", tag="respond_transfer"):
    payload: TransferAnswer
    id: FrameId | None = None


class StatusChoice(Struct, frozen=True, omit_defaults=True):
    status: AgentStatusName
    note: Reason | None = None


class SetStatus(Struct, frozen=True, tag_field="type", tag="set_status"):
    payload: StatusChoice
    id: FrameId | None = None


class ChatText(Struct, frozen=True):
    chat_id: UUID
    content: Content


class AddNote(Struct, frozen=True, tag_field="type", tag="add_note"):
    payload: ChatText
    id: FrameId | None = None


class Whisper(Struct, frozen=True, tag_field="type", tag="whisper"):
    payload: ChatText
    id: FrameId | None = None


class FeedPoint(Struct, frozen=True, omit_defaults=True):
    last_feed_seq: Seq | None = None
    feed_id: FeedId | None = None


class SubscribeQueue(Struct, frozen=True, tag_field="type", tag="subscribe_queue"):
    payload: FeedPoint = FeedPoint()
    id: FrameId | None = None


class AssistQuestion(Struct, frozen=True):
    chat_id: UUID
    to_agent_id: UUID
    question: Content


class RequestAssist(Struct, frozen=True, tag_field="type", tag="request_assist"):
    payload: AssistQuestion
    id: FrameId | None = None


FromAgent = (
    AcceptChat
    | DeclineOffer
    | SendMessage
    | TransferChat
    | RespondTransfer
    | EndChat
    | ReleaseChat
    | Typing
    | MarkRead
    | Resume
    | Ping
    | SetStatus
    | AddNote
)
FromWorkbench = (
    FromAgent | SubscribeQueue | TakeOverChat | RequestAssist | WatchChat | UnwatchChat | Whisper
)
