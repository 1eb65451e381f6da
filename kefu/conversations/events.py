"""What can happen in a chat. `Spoken` is counted by `seq`, all else by `log_id`; see chat.py.

An event with `from_phase` and `to_phase` is a transition and one line of the audit trail.
"""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from kefu.bot.messages import Outcome
from kefu.conversations.parties import AgentSeat, Customer, Party, Severity
from kefu.knowledge.messages import Source
from protocol.server import StoredMessageType


class Opened(Struct, frozen=True, tag=True):
    chat_id: UUID
    customer: Customer
    began_with_bot: bool
    at: float
    log_id: int = 1
    topic: str | None = None
    order_id: UUID | None = None


class Spoken(Struct, frozen=True, tag=True):
    chat_id: UUID
    seq: int
    message_id: UUID
    sender: Party
    content: str
    message_type: StoredMessageType
    at: float
    client_message_id: str | None = None


class HumanCalled(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    at: float
    reason: str | None = None
    from_phase: Literal["bot_active"] = "bot_active"
    to_phase: Literal["pending_manual"] = "pending_manual"
    severity: Severity | None = None
    details: tuple[str, ...] = ()


class ReturnedToBot(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    at: float
    reason: str | None = None
    from_phase: Literal["pending_manual"] = "pending_manual"
    to_phase: Literal["bot_active"] = "bot_active"


class Taken(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    agent: AgentSeat
    at: float
    reason: str | None = None
    from_phase: Literal["pending_manual"] = "pending_manual"
    to_phase: Literal["manual_live"] = "manual_live"


class Released(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    at: float
    reason: str | None = None
    from_phase: Literal["manual_live"] = "manual_live"
    to_phase: Literal["bot_active"] = "bot_active"


class Requeued(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    at: float
    reason: str | None = None
    from_phase: Literal["manual_live"] = "manual_live"
    to_phase: Literal["pending_manual"] = "pending_manual"
    team_id: UUID | None = None


class Ended(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    at: float
    from_phase: Literal["bot_active", "pending_manual", "manual_live"]
    reason: str | None = None
    to_phase: Literal["closed"] = "closed"


class Transferred(Struct, frozen=True, tag=True):
    """The chat stays with humans; only the agent changes."""

    log_id: int
    by: Party
    from_agent: AgentSeat
    agent: AgentSeat
    at: float
    reason: str | None = None


class Rated(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    rating: int
    at: float
    feedback: str | None = None


class BotAnswered(Struct, frozen=True, tag=True):
    """What stands behind an answer of the bot: `message_id` is the message the customer reads.

    All they had said up to `answers_seq` is dealt with. `failures` counts the failures in a row.
    """

    log_id: int
    by: Party
    message_id: UUID
    answers_seq: int
    outcome: Outcome
    failures: int
    at: float
    sources: tuple[Source, ...] = ()


class AskedAfterHours(Struct, frozen=True, tag=True):
    """A human was called while none is on duty: the bot stays. `next_start` is an ISO instant."""

    log_id: int
    by: Party
    at: float
    reason: str
    severity: Severity
    details: tuple[str, ...] = ()
    next_start: str | None = None


class RemindedOfHours(Struct, frozen=True, tag=True):
    """A human was called once more after hours."""

    log_id: int
    by: Party
    at: float
    reason: str


class EmailLeft(Struct, frozen=True, tag=True):
    """The customer wrote where they can be reached later."""

    log_id: int
    by: Party
    email: str
    at: float


class NoteWritten(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    content: str
    at: float


class Whispered(Struct, frozen=True, tag=True):
    """By a supervisor, to the agent in charge."""

    log_id: int
    by: Party
    content: str
    at: float


class AssistAsked(Struct, frozen=True, tag=True):
    """A colleague was asked for help."""

    log_id: int
    by: Party
    to_agent: UUID
    question: str
    at: float


class Watched(Struct, frozen=True, tag=True):
    """A supervisor began to look on, unseen. The end is `Unwatched`, or nothing: who loses the
    connection looks on no longer, and whoever keeps watching begins anew."""

    log_id: int
    by: Party
    at: float


class Unwatched(Struct, frozen=True, tag=True):
    log_id: int
    by: Party
    at: float


Transition = HumanCalled | ReturnedToBot | Taken | Released | Requeued | Ended
Unseen = Watched | Unwatched
Remark = NoteWritten | Whispered | AssistAsked
Backstage = BotAnswered | AskedAfterHours | RemindedOfHours | EmailLeft
LogEvent = Opened | Transition | Transferred | Rated | Remark | Unseen | Backstage
Event = LogEvent | Spoken
