"""Views of products over HTTP, and what is recommended: bodies that a shop's pages send and read.

Bodies may have fields more than these: pages of a shop are changed less often than its server.
"""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from protocol.accounts import TokenText
from protocol.limits import NO_NUL

EVENTS: Final = 1000
LIMIT: Final = 50
COUNTED_FROM_MS: Final = 3000
"""A view counts that took longer."""

Source = Literal["search", "category", "recommendation", "direct"]
Uncounted = Literal["too_short", "seen_today", "too_many", "unknown_product"]
SessionId = Annotated[str, Meta(min_length=1, max_length=128, pattern=NO_NUL)]
Dwell = Annotated[float, Meta(ge=0, le=1e10)]
When = Annotated[datetime, Meta(tz=True)]


class NewView(Struct, frozen=True, kw_only=True):
    """`token` stands for the header, which a page that is being left cannot set. With a customer's
    token beside it a `session_id`, or a guest's token, says who the customer was before."""

    source: Source
    dwell_ms: Dwell
    timestamp: When | None = None
    session_id: SessionId | None = None
    token: TokenText | None = None


class NewViewOf(NewView, frozen=True, kw_only=True):
    product_id: UUID


class NewViews(Struct, frozen=True):
    events: Annotated[tuple[NewViewOf, ...], Meta(min_length=1, max_length=EVENTS)]


class ViewRecorded(Struct, frozen=True, omit_defaults=True):
    recorded: bool
    reason: Uncounted | None = None


class Because(Struct, frozen=True):
    """The product, seen before, with which a recommended one goes."""

    id: UUID
    name: str


class RecommendedProduct(Struct, frozen=True):
    id: UUID
    name: str
    price: int | float
    image_url: str | None
    score: float
    because: Because | UnsetType = UNSET


class How(Struct, frozen=True):
    algorithm: Literal["collaborative_filtering", "collaborative_filtering+popular", "popular"]
    generated_at: datetime


class RecommendedProducts(Struct, frozen=True):
    """The best first."""

    data: tuple[RecommendedProduct, ...]
    meta: How
