"""What may be said to the queue. There is one: `queue/main`. It also keeps the workbench's feed."""

from uuid import UUID

from msgspec import Struct

from actors import Request
from kefu.delivery import Origin
from protocol.server import AgentPresence

__all__ = [
    "KIND",
    "MAIN",
    "AgentPresence",
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

    A pressing one is about something urgent, or waits for the second time.
    """

    chat_id: UUID
    customer_id: UUID
    since: float
    is_vip: bool = False
    is_pressing: bool = False
    customer_name: str | None = None
    topic: str | None = None
    reason: str | None = None


class Enqueue(Request[int], Struct, frozen=True):
    """Answered with the chat's position, 1 for the next."""

    waiting: Waiting


class Dequeue(Struct, frozen=True):
    chat_id: UUID


class PresenceChanged(Struct, frozen=True):
    agent: AgentPresence


class ListPresence(Request[tuple[AgentPresence, ...]], Struct, frozen=True):
    """Answered with every agent seen since the start, there or gone."""


class SubscribeFeed(Struct, frozen=True):
    """Send this connection what it misses of the feed, or all of it anew."""

    origin: Origin
    feed_id: str | None = None
    last_feed_seq: int | None = None


class Tick(Struct, frozen=True):
    """The queue's reminder to itself."""


QueueMessage = Enqueue | Dequeue | PresenceChanged | ListPresence | SubscribeFeed | Tick
