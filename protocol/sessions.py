"""Bodies and answers of the facade's handoff: sessions, the queue, and what agents do with them.

A session is a customer's conversation under the name clients know it by; what is shown of it is its
open chat, else the last one. Times are seconds since the epoch.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from protocol.accounts import DisplayName
from protocol.facade import Seconds, SessionName, SessionStatus
from protocol.limits import NO_NUL, ClientMessageId, Content, Reason
from protocol.server import PriorityLevel, StoredMessageType

CustomerType = Literal["vip", "old", "new"]
AgentKey = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
"""An agent's id or username."""

# --- bodies ---------------------------------------------------------------------------------------


class Escalate(Struct, frozen=True):
    session_name: SessionName
    reason: Reason | None = None


class SayByHand(Struct, frozen=True):
    """A message of the human phase. `agent_info` is read from the token instead."""

    session_name: SessionName
    role: Literal["agent", "user"]
    content: Content
    agent_info: dict[str, Any] | None = None
    client_message_id: ClientMessageId | None = None


class TakeSession(Struct, frozen=True):
    """The name an agent is shown by is their account's."""

    agent_id: AgentKey | None = None
    agent_name: DisplayName | None = None


class ReleaseSession(Struct, frozen=True):
    agent_id: AgentKey | None = None
    reason: Reason | None = None


class TransferSession(Struct, frozen=True):
    from_agent_id: AgentKey
    to_agent_id: UUID
    to_agent_name: DisplayName | None = None
    reason: Reason | None = None
    note: Content | None = None


class RespondToTransfer(Struct, frozen=True):
    accept: bool


# --- answers --------------------------------------------------------------------------------------


class Priority(Struct, frozen=True):
    """`is_timeout`: they have waited for longer than anybody should."""

    level: PriorityLevel
    is_vip: bool
    wait_time_seconds: int
    is_timeout: bool


class UserProfile(Struct, frozen=True):
    id: UUID
    name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    is_vip: bool
    is_guest: bool
    customer_type: CustomerType


class HistoryEntry(Struct, frozen=True):
    message_id: UUID
    seq: int
    role: Literal["user", "assistant", "agent", "system"]
    content: str
    message_type: StoredMessageType
    timestamp: Seconds
    agent_id: UUID | None
    agent_name: str | None


class EscalationShown(Struct, frozen=True):
    reason: str
    details: tuple[str, ...]
    severity: str
    trigger_at: Seconds


class AgentInCharge(Struct, frozen=True):
    id: UUID
    name: str
    avatar_url: str | None
    taken_at: Seconds | None


class SessionShown(Struct, frozen=True):
    """`history` is given where one session is asked for."""

    session_name: str
    chat_id: UUID
    status: SessionStatus
    conversation_id: str | None
    user_profile: UserProfile
    escalation: EscalationShown | None
    assigned_agent: AgentInCharge | None
    priority: Priority
    topic: str | None
    last_message: str | None
    created_at: Seconds
    updated_at: Seconds
    history: tuple[HistoryEntry, ...] = ()


class Operator(Struct, frozen=True):
    type: str
    id: UUID | None
    name: str | None


class AuditLine(Struct, frozen=True):
    from_status: SessionStatus = field(name="from")
    to_status: SessionStatus = field(name="to")
    action: str
    operator: Operator
    reason: str | None
    timestamp: Seconds


class SessionDetail(Struct, frozen=True):
    session: SessionShown
    audit_trail: tuple[AuditLine, ...]


class SessionPage(Struct, frozen=True):
    sessions: tuple[SessionShown, ...]
    total: int


class QueueEntry(Struct, frozen=True):
    session_name: str
    chat_id: UUID
    position: int
    priority_level: PriorityLevel
    is_vip: bool
    wait_time_seconds: int
    is_timeout: bool
    customer_name: str | None
    topic: str | None
    reason: str | None
    team_id: UUID | None


class QueueShown(Struct, frozen=True):
    queue: tuple[QueueEntry, ...]
    total_count: int
    vip_count: int
    avg_wait_time: float
    max_wait_time: int


class MessageTaken(Struct, frozen=True):
    message_id: UUID
    timestamp: Seconds


class TransferAsked(Struct, frozen=True):
    request_id: UUID | None
    session_name: str
    chat_id: UUID
    status: Literal["pending", "transferred", "declined", "expired"]


class TransferWaiting(Struct, frozen=True):
    request_id: UUID
    session_name: str
    chat_id: UUID
    from_agent_id: UUID
    from_agent_name: str
    reason: str | None
    note: str | None
    expires_at: Seconds


class TransfersWaiting(Struct, frozen=True):
    requests: tuple[TransferWaiting, ...]
    total: int


class EmailSent(Struct, frozen=True):
    """`status` is what became of the transcript: sent, failed, unknown ..."""

    status: str


# --- figures --------------------------------------------------------------------------------------


class WaitingFigures(Struct, frozen=True):
    """Of those who wait now, in seconds."""

    count: int
    vip_count: int
    avg_wait_time: float
    max_wait_time: int


class BotFigures(Struct, frozen=True):
    """Of the bot's answers, and of the sessions it was asked in."""

    answers: int
    answered: int
    unknown: int
    stood_in: int
    failed: int
    sessions: int
    handed_over: int
    answered_rate: float | None
    handover_rate: float | None


class AgentFigures(Struct, frozen=True):
    """Times in seconds; None where there is nothing to average."""

    agent_id: UUID
    name: str
    active: int
    taken: int
    avg_wait_time: float | None
    avg_first_response_time: float | None
    avg_duration: float | None


class SessionFigures(Struct, frozen=True):
    """`by_status`: the open ones, and what was closed since `since`; all that is no state of now
    counts since then."""

    since: Seconds
    total: int
    by_status: dict[SessionStatus, int]
    waiting: WaitingFigures
    active_agents: int
    agents_by_status: dict[str, int]
    by_reason: dict[str, int]
    ai_quality: BotFigures
    agent_efficiency: tuple[AgentFigures, ...]
