"""What others may ask about views: who looked at what, and what goes with it."""

from typing import Literal, Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

from actors import Repeatable, Request
from kefu.catalogue.messages import Card

KIND = "recommendations"
Algorithm = Literal["collaborative_filtering", "collaborative_filtering+popular", "popular"]
Recorded = Literal["recorded", "seen_today", "too_many"]


class View(Struct, frozen=True, array_like=True):
    """Somebody looked at a product, long enough to count. `at` is in seconds since the epoch."""

    viewer: UUID
    product: int
    at: int


class Record(Request[tuple[Recorded, ...]], Repeatable, Struct, frozen=True, tag=True):
    """To a shard: write down these views of its products; what became of each, in their order.

    Repeated, a view is `seen_today`: it counts once.
    """

    views: tuple[View, ...]


class Join(Request[bool], Repeatable, Struct, frozen=True, tag=True):
    """To a shard: a guest has signed in; what they looked at is the customer's from now on. Or they
    have begun to chat, and are the guest of the chat: then they may sign in later."""

    guest: UUID
    customer: UUID
    is_guest: bool = False


class Tick(Struct, frozen=True, tag=True):
    """To a shard, from itself: see what is to be published."""


ShardMessage: TypeAlias = Record | Join | Tick


class Recommended(Struct, frozen=True):
    """One product and why: `score` is its similarity, 0 for what is merely popular; `because` names
    the product it goes with, where the viewer looked at several."""

    card: Card
    score: float
    because: Card | None = None


class Recommendations(Struct, frozen=True):
    """The best first."""

    items: tuple[Recommended, ...]
    algorithm: Algorithm


class Recommender(Protocol):
    """Raises StoreUnavailable when PostgreSQL cannot be asked."""

    async def similar(self, product_id: UUID, *, limit: int) -> Recommendations | None:
        """What those who viewed it viewed, too; None when there is no such product."""
        ...

    async def for_viewer(self, viewer: UUID, *, limit: int) -> Recommendations:
        """What goes with what they looked at last."""
        ...

    async def viewed(self, viewer: UUID, *, limit: int) -> tuple[Card, ...]:
        """What they looked at, the last first, if it can still be bought."""
        ...
