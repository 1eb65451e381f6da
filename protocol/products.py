"""Products beside a chat, for the agent who may show them. Over HTTP alone: in a chat a product
travels as its id, and its card is read from the catalogue by whoever shows it.
"""

from typing import Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from protocol.recommendations import Because


class ProductCard(Struct, frozen=True):
    """`price` is in the currency's major unit."""

    id: UUID
    name: str
    price: int | float
    currency: str
    image_url: str | None


class RecommendedCard(ProductCard, frozen=True):
    """`score` is its similarity to `because`, which was viewed; 0 for what is merely popular."""

    score: float
    because: Because | UnsetType = UNSET


class SuggestedCard(ProductCard, frozen=True):
    """`reason`: the customer's words, what they viewed, or nothing but that many look at it."""

    reason: Literal["words", "views", "popular"]
    because: Because | UnsetType = UNSET


class ChatProducts(Struct, frozen=True):
    """`viewed` by the customer, the last first; `recommended` to them, the best first."""

    viewed: tuple[ProductCard, ...]
    recommended: tuple[RecommendedCard, ...]
