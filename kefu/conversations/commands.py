"""What may be asked of a chat, with all the world's part (time, ids, texts) already inside."""

from uuid import UUID

from msgspec import Struct

from kefu.bot.messages import Outcome
from kefu.conversations.parties import SYSTEM, AgentSeat, Customer, Party, Severity
from kefu.knowledge.messages import Source
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


class Notice(Struct, frozen=True):
    """What kefu itself says to the customer."""

    message_id: UUID
    content: str


class CallHuman(Struct, frozen=True):
    """From the bot to the queue; `notice` is read by the customer, who need not have asked."""

    by: Party
    at: float
    reason: str | None = None
    severity: Severity | None = None
    details: tuple[str, ...] = ()
    notice: Notice | None = None


class AskAfterHours(Struct, frozen=True):
    """A human is called while none is on duty; `next_start` is an ISO instant."""

    by: Party
    at: float
    reason: str
    severity: Severity
    notice: Notice
    details: tuple[str, ...] = ()
    next_start: str | None = None


class LeaveEmail(Struct, frozen=True):
    by: Party
    email: str
    at: float
    notice: Notice


class ProductCard(Struct, frozen=True):
    """A product that is shown behind an answer, as a message of its own."""

    message_id: UUID
    product_id: UUID


class AnswerCustomer(Struct, frozen=True):
    """The bot's answer to all the customer had said up to `answers_seq`.

    `is_apology`: it is kefu's own sentence, because the bot had none; no cards go with it.
    """

    by: Party
    message_id: UUID
    answers_seq: int
    content: str
    outcome: Outcome
    is_failure: bool
    at: float
    is_apology: bool = False
    sources: tuple[Source, ...] = ()
    cards: tuple[ProductCard, ...] = ()


class ReturnToBot(Struct, frozen=True):
    by: Party
    at: float
    reason: str | None = None


class GiveUpWaiting(Struct, frozen=True):
    """Back to the bot, if the customer has waited since `waiting_since` and the bot was first."""

    waiting_since: float
    at: float
    notice: Notice


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


class ReturnToQueue(Struct, frozen=True):
    """Back to the queue's front, if this agent, who has gone, is still in charge."""

    agent_id: UUID
    at: float
    reason: str
    notice: Notice


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


BotPhase = AnswerCustomer | AskAfterHours | LeaveEmail
Aside = AddNote | Whisper | AskAssist | Watch | Unwatch
Command = (
    Open
    | Speak
    | CallHuman
    | BotPhase
    | ReturnToBot
    | GiveUpWaiting
    | Accept
    | TakeOver
    | Transfer
    | Requeue
    | ReturnToQueue
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
    retry_after_s: float | None = None
