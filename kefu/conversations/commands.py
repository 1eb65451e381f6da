"""What may be asked of a chat, with all the world's part (time, ids, texts) already inside."""

from uuid import UUID

from msgspec import Struct

from kefu.conversations.parties import SYSTEM, AgentSeat, Customer, Party
from protocol.codes import ErrorCode
from protocol.server import StoredMessageType


class Open(Struct, frozen=True):
    """Begin a chat with the bot; `wants_human`, or no bot, calls a human in the same step."""

    chat_id: UUID
    customer: Customer
    at: float
    wants_human: bool
    is_bot_ready: bool
    topic: str | None = None
    order_id: UUID | None = None


class Speak(Struct, frozen=True):
    message_id: UUID
    by: Party
    content: str
    at: float
    is_bot_ready: bool
    message_type: StoredMessageType = "text"
    client_message_id: str | None = None


class CallHuman(Struct, frozen=True):
    by: Party
    at: float
    reason: str | None = None


class ReturnToBot(Struct, frozen=True):
    by: Party
    at: float
    reason: str | None = None


class Accept(Struct, frozen=True):
    agent: AgentSeat
    at: float


class TakeOver(Struct, frozen=True):
    """From the bot, or by a supervisor from a colleague."""

    agent: AgentSeat
    by: Party
    at: float
    reason: str | None = None


class Transfer(Struct, frozen=True):
    by: Party
    to_agent: AgentSeat
    at: float
    reason: str | None = None


class Requeue(Struct, frozen=True):
    """Back to the queue: for a team, or for anybody."""

    by: Party
    at: float
    reason: str | None = None
    team_id: UUID | None = None


class Release(Struct, frozen=True):
    """Back to the bot; `farewell` is the system message the customer reads."""

    by: Party
    at: float
    message_id: UUID
    farewell: str
    reason: str | None = None


class End(Struct, frozen=True):
    by: Party
    at: float
    reason: str | None = None


class Rate(Struct, frozen=True):
    by: Party
    rating: int
    at: float
    feedback: str | None = None


class EndSilent(Struct, frozen=True):
    """End a chat everybody has left, but only if nothing has happened since it stood there."""

    seq: int
    log_id: int
    at: float
    by: Party = SYSTEM


class AddNote(Struct, frozen=True):
    by: Party
    content: str
    at: float


class Whisper(Struct, frozen=True):
    by: Party
    content: str
    at: float


class AskAssist(Struct, frozen=True):
    by: Party
    to_agent: UUID
    question: str
    at: float


class Watch(Struct, frozen=True):
    by: Party
    at: float


class Unwatch(Struct, frozen=True):
    by: Party
    at: float


Aside = AddNote | Whisper | AskAssist | Watch | Unwatch
Command = (
    Open
    | Speak
    | CallHuman
    | ReturnToBot
    | Accept
    | TakeOver
    | Transfer
    | Requeue
    | Release
    | End
    | EndSilent
    | Rate
    | Aside
)


class Refusal(Struct, frozen=True):
    """An ordinary no. `sentence` is given where the code's own would say too little.

    `taken_by` and `taken_at` (seconds since the epoch) are given with ALREADY_TAKEN.
    """

    code: ErrorCode
    sentence: str | None = None
    taken_by: AgentSeat | None = None
    taken_at: float | None = None
