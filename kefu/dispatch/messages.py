"""What may be said to the queue. There is one: `queue/main`. It also keeps the workbench's feed."""

from uuid import UUID

from msgspec import Struct

from actors import Repeatable, Request
from kefu.delivery import Origin
from protocol.server import AgentPresence

__all__ = [
    "KIND",
    "MAIN",
    "AgentPresence",
    "DeclineOffer",
    "Dequeue",
    "Enqueue",
    "ListPresence",
    "PresenceChanged",
    "QueueMessage",
    "SubscribeFeed",
    "Waiting",
]

KIND = "queue"
MAIN = "main"


class Waiting(Struct, frozen=True):
    """A chat that waits for a human. `since` is seconds since the epoch.

    A pressing one is about something urgent, or waits for the second time. One that was handed to a
    team is offered to its members alone; anybody may still accept it. A returned one comes back
    because its agent has gone: it is next.
    """

    chat_id: UUID
    customer_id: UUID
    since: float
    is_vip: bool = False
    is_pressing: bool = False
    is_returned: bool = False
    customer_name: str | None = None
    topic: str | None = None
    reason: str | None = None
    team_id: UUID | None = None


class Enqueue(Request[int], Repeatable, Struct, frozen=True):
    """Answered with the chat's position, 1 for the next."""

    waiting: Waiting


class Dequeue(Request[None], Repeatable, Struct, frozen=True):
    """`is_taken`: an agent has taken the chat, nobody gave up waiting."""

    chat_id: UUID
    is_taken: bool = False


class PresenceChanged(Request[None], Repeatable, Struct, frozen=True):
    """`reserved` are the chats the agent has asked for and not yet got: each holds a place."""

    agent: AgentPresence
    reserved: frozenset[UUID] = frozenset()


class ListPresence(Request[tuple[AgentPresence, ...]], Repeatable, Struct, frozen=True):
    """Answered with every agent seen since the start, there or gone."""


class SubscribeFeed(Request[None], Repeatable, Struct, frozen=True):
    """Send this connection what it misses of the feed, or all of it anew, and then what is on
    offer to the agent whose connection it is. A request, so that none vanishes between instances.
    """

    origin: Origin
    agent_id: UUID
    feed_id: str | None = None
    last_feed_seq: int | None = None


class DeclineOffer(Request[None], Repeatable, Struct, frozen=True):
    """Somebody else is to be offered this chat. Refused when it is not on offer to this agent."""

    origin: Origin
    agent_id: UUID
    chat_id: UUID


class Tick(Struct, frozen=True):
    """The queue's reminder to itself."""


QueueMessage = (
    Enqueue | Dequeue | PresenceChanged | ListPresence | SubscribeFeed | DeclineOffer | Tick
)
