"""What may be said to an agent's actor. Its address is `agent/<agent id>`.

It alone knows whether the agent has a place free, so that every way a chat can reach an agent
(accept, take over, transfer) goes through it.

What is only told is a request as well where it matters: between instances an unanswered one is
asked again, a plain message may get lost.
"""

from uuid import UUID

from msgspec import Struct

from actors import Repeatable, Request
from kefu.delivery import Origin
from protocol.agent import AgentStatusName
from protocol.codes import ErrorCode

KIND = "agent"


class Verdict(Struct, frozen=True):
    """What came of a request: nothing to say, or why not. People were told already."""

    refused: ErrorCode | None = None


class Connected(Request[dict[UUID, UUID]], Repeatable, Struct, frozen=True):
    """A socket of the agent opened. Answered with their live chats: chat id to customer id."""

    connection_id: str


class Disconnected(Request[None], Repeatable, Struct, frozen=True):
    connection_id: str


class ShowOffers(Request[None], Repeatable, Struct, frozen=True):
    """Send this connection the chats that colleagues have offered and that are not answered yet."""

    origin: Origin


class TellPresence(Request[None], Repeatable, Struct, frozen=True):
    """The queue says: it has forgotten who is there."""


class Accept(Request[Verdict], Repeatable, Struct, frozen=True):
    origin: Origin
    chat_id: UUID
    customer_id: UUID


class TakeOver(Request[Verdict], Repeatable, Struct, frozen=True):
    origin: Origin
    chat_id: UUID
    customer_id: UUID
    is_supervisor: bool


class Receive(Request[Verdict], Struct, frozen=True):
    """Said to the agent who is to get a colleague's chat, now or as an offer."""

    origin: Origin
    chat_id: UUID
    customer_id: UUID
    from_agent_id: UUID
    from_agent_name: str
    is_supervisor: bool
    wants_offer: bool
    reason: str | None = None
    note: str | None = None


class Assist(Request[Verdict], Struct, frozen=True):
    """Said to the agent whom a colleague asks for help with a chat."""

    origin: Origin
    chat_id: UUID
    customer_id: UUID
    from_agent_id: UUID
    from_agent_name: str
    is_supervisor: bool
    question: str


class AnswerOffer(Request[Verdict], Struct, frozen=True):
    origin: Origin
    request_id: UUID
    is_accepted: bool


class SetStatus(Request[Verdict], Repeatable, Struct, frozen=True):
    origin: Origin
    status: AgentStatusName
    note: str | None = None


class ChatAssigned(Request[None], Repeatable, Struct, frozen=True):
    """The conversation says: this chat is yours, and it is durable."""

    chat_id: UUID
    customer_id: UUID


class ChatFreed(Request[None], Repeatable, Struct, frozen=True):
    """The conversation says: this chat is no longer yours."""

    chat_id: UUID


class OfferExpired(Struct, frozen=True):
    """The actor's reminder to itself."""

    request_id: UUID


class PlaceDoubtful(Struct, frozen=True):
    """The actor's reminder to itself: it never heard whether this chat came."""

    chat_id: UUID


class Compare(Struct, frozen=True):
    """The actor's reminder to itself: the store may know of chats that nobody told us about."""


class LeftForGood(Struct, frozen=True):
    """The actor's reminder to itself: the last socket closed a while ago."""


class GoneForGood(Struct, frozen=True):
    """The actor's reminder to itself: nobody came back to the chats in the agent's charge."""


Reminder = OfferExpired | PlaceDoubtful | Compare | LeftForGood | GoneForGood
AgentMessage = (
    Connected
    | Disconnected
    | ShowOffers
    | TellPresence
    | Accept
    | TakeOver
    | Receive
    | Assist
    | AnswerOffer
    | SetStatus
    | ChatAssigned
    | ChatFreed
    | Reminder
)
