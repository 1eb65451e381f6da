"""All that kefu says on a socket, to customers and to agents.

The second group is for the workbench alone: nothing in it may reach a customer.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from protocol.agent import AgentStatusName
from protocol.codes import ErrorCode

ChatStatusName = Literal["bot", "waiting", "active", "ended"]
SenderType = Literal["customer", "agent", "ai", "system"]
StoredMessageType = Literal["text", "image", "product", "system"]
PriorityLevel = Literal["urgent", "high", "normal"]


class AgentCard(Struct, frozen=True, omit_defaults=True):
    """Who is helping, as the customer sees it."""

    id: UUID
    name: str
    avatar_url: str | None = None


class CustomerCard(Struct, frozen=True, omit_defaults=True):
    """Who is asking, as the agent sees it."""

    id: UUID
    name: str | None = None
    is_vip: bool = False
    is_guest: bool = False
    locale: str | None = None


class ChatState(Struct, frozen=True, omit_defaults=True):
    """`last_seq` is the point after which this connection gets every message by itself.

    `customer` is given to agents alone.
    """

    chat_id: UUID
    status: ChatStatusName
    last_seq: int
    agent: AgentCard | None = None
    queue_position: int | None = None
    estimated_wait_s: tuple[int, int] | None = None
    topic: str | None = None
    rating: int | None = None
    guest_token: str | None = None
    resync: bool = False
    customer: CustomerCard | None = None


class ChatStatus(Struct, frozen=True, tag_field="type", tag="chat_status", omit_defaults=True):
    payload: ChatState
    timestamp: datetime
    reply_to: str | None = None


class Message(Struct, frozen=True, omit_defaults=True):
    chat_id: UUID
    message_id: UUID
    seq: int
    sender_type: SenderType
    content: str
    timestamp: datetime
    message_type: StoredMessageType = "text"
    sender_id: UUID | None = None
    sender_name: str | None = None
    client_message_id: str | None = None


class NewMessage(Struct, frozen=True, tag_field="type", tag="new_message", omit_defaults=True):
    payload: Message
    timestamp: datetime
    reply_to: str | None = None


class Receipt(Struct, frozen=True, omit_defaults=True):
    """Given only after the message is durable."""

    chat_id: UUID
    message_id: UUID
    seq: int
    timestamp: datetime
    client_message_id: str | None = None


class MessageAck(Struct, frozen=True, tag_field="type", tag="message_ack", omit_defaults=True):
    payload: Receipt
    timestamp: datetime
    reply_to: str | None = None


class AnswerPiece(Struct, frozen=True):
    """The finished answer is the message whose `message_id` is `turn_id`.

    It answers what the customer said up to `answers_seq`.
    """

    chat_id: UUID
    turn_id: UUID
    content: str
    answers_seq: int


class AiDelta(Struct, frozen=True, tag_field="type", tag="ai_delta", omit_defaults=True):
    payload: AnswerPiece
    timestamp: datetime
    reply_to: str | None = None


class SomeoneTyping(Struct, frozen=True):
    chat_id: UUID
    is_typing: bool
    sender_type: SenderType


class TypingShown(Struct, frozen=True, tag_field="type", tag="typing", omit_defaults=True):
    payload: SomeoneTyping
    timestamp: datetime
    reply_to: str | None = None


class ReadPoint(Struct, frozen=True):
    chat_id: UUID
    seq: int
    reader_type: SenderType


class Read(Struct, frozen=True, tag_field="type", tag="read", omit_defaults=True):
    payload: ReadPoint
    timestamp: datetime
    reply_to: str | None = None


class Fault(Struct, frozen=True, omit_defaults=True):
    """`taken_by` and `taken_at` say who has the chat, and since when, with ALREADY_TAKEN."""

    code: ErrorCode
    message: str
    chat_id: UUID | None = None
    retry_after_s: float | None = None
    taken_by: AgentCard | None = None
    taken_at: datetime | None = None


class Error(Struct, frozen=True, tag_field="type", tag="error", omit_defaults=True):
    payload: Fault
    timestamp: datetime
    reply_to: str | None = None


class Departure(Struct, frozen=True):
    reconnect_after_ms: int


class GoAway(Struct, frozen=True, tag_field="type", tag="goaway", omit_defaults=True):
    payload: Departure
    timestamp: datetime
    reply_to: str | None = None


class Nothing(Struct, frozen=True):
    pass


class Pong(Struct, frozen=True, tag_field="type", tag="pong", omit_defaults=True):
    timestamp: datetime
    payload: Nothing = Nothing()
    reply_to: str | None = None


# --- for the workbench alone ---------------------------------------------------------------------


class QueueItem(Struct, frozen=True, omit_defaults=True):
    """A waiting chat. Items of a snapshot stand in the one order of the queue."""

    chat_id: UUID
    customer_id: UUID
    waiting_since: datetime
    priority: PriorityLevel = "normal"
    is_vip: bool = False
    customer_name: str | None = None
    topic: str | None = None
    reason: str | None = None
    team_id: UUID | None = None


class AgentPresence(Struct, frozen=True, omit_defaults=True):
    agent_id: UUID
    name: str
    status: AgentStatusName
    active_count: int
    max_sessions: int
    note: str | None = None
    team_ids: tuple[UUID, ...] = ()


class QueueState(Struct, frozen=True):
    feed_id: str
    feed_seq: int
    waiting: tuple[QueueItem, ...]
    agents: tuple[AgentPresence, ...]


class QueueSnapshot(
    Struct, frozen=True, tag_field="type", tag="queue_snapshot", omit_defaults=True
):
    payload: QueueState
    timestamp: datetime
    reply_to: str | None = None


class QueueChange(Struct, frozen=True, omit_defaults=True):
    """`item` is left out when the chat left the queue."""

    feed_id: str
    feed_seq: int
    change: Literal["added", "changed", "removed"]
    chat_id: UUID
    item: QueueItem | None = None


class QueueUpdate(Struct, frozen=True, tag_field="type", tag="queue_update", omit_defaults=True):
    payload: QueueChange
    timestamp: datetime
    reply_to: str | None = None


class PresenceChange(Struct, frozen=True):
    feed_id: str
    feed_seq: int
    agent: AgentPresence


class AgentStatus(Struct, frozen=True, tag_field="type", tag="agent_status", omit_defaults=True):
    payload: PresenceChange
    timestamp: datetime
    reply_to: str | None = None


class Offer(Struct, frozen=True):
    chat_id: UUID
    expires_at: datetime


class ChatOffer(Struct, frozen=True, tag_field="type", tag="chat_offer", omit_defaults=True):
    payload: Offer
    timestamp: datetime
    reply_to: str | None = None


class Note(Struct, frozen=True):
    chat_id: UUID
    log_id: int
    agent_id: UUID
    agent_name: str
    content: str
    timestamp: datetime


class NoteAdded(Struct, frozen=True, tag_field="type", tag="note_added", omit_defaults=True):
    payload: Note
    timestamp: datetime
    reply_to: str | None = None


class Whispered(Struct, frozen=True, tag_field="type", tag="whispered", omit_defaults=True):
    payload: Note
    timestamp: datetime
    reply_to: str | None = None


class TransferOffer(Struct, frozen=True, omit_defaults=True):
    request_id: UUID
    chat_id: UUID
    from_agent: AgentCard
    expires_at: datetime
    reason: str | None = None
    note: str | None = None


class TransferRequest(
    Struct, frozen=True, tag_field="type", tag="transfer_request", omit_defaults=True
):
    payload: TransferOffer
    timestamp: datetime
    reply_to: str | None = None


class TransferOutcome(Struct, frozen=True, omit_defaults=True):
    """`request_id` is given where the transfer was an offer."""

    chat_id: UUID
    outcome: Literal["transferred", "offered", "declined", "expired"]
    to_agent_id: UUID | None = None
    request_id: UUID | None = None
    to_team_id: UUID | None = None


class TransferResult(
    Struct, frozen=True, tag_field="type", tag="transfer_result", omit_defaults=True
):
    payload: TransferOutcome
    timestamp: datetime
    reply_to: str | None = None


class AssistCall(Struct, frozen=True):
    chat_id: UUID
    from_agent: AgentCard
    question: str


class AssistRequest(
    Struct, frozen=True, tag_field="type", tag="assist_request", omit_defaults=True
):
    payload: AssistCall
    timestamp: datetime
    reply_to: str | None = None


class Watch(Struct, frozen=True):
    """Not watching, without having asked: the chat could not be shown; ask again.

    A watch ends with its connection, silently.
    """

    chat_id: UUID
    is_watching: bool


class ChatWatch(Struct, frozen=True, tag_field="type", tag="chat_watch", omit_defaults=True):
    payload: Watch
    timestamp: datetime
    reply_to: str | None = None


ToCustomer = (
    ChatStatus | NewMessage | MessageAck | AiDelta | TypingShown | Read | Error | GoAway | Pong
)
ToWorkbench = (
    ToCustomer
    | QueueSnapshot
    | QueueUpdate
    | AgentStatus
    | ChatOffer
    | NoteAdded
    | Whispered
    | TransferRequest
    | TransferResult
    | AssistRequest
    | ChatWatch
)
