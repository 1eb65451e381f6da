"""What others may ask of the shop's products."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from msgspec import Struct


class Card(Struct, frozen=True):
    """A product as it is shown: in a chat, in a list of recommendations.

    `number` counts the shop's products and is never given twice; arrays are indexed by it. `price`
    is in the currency's major unit, whole where it is whole.
    """

    id: UUID
    number: int
    name: str
    price: int | float
    currency: str
    image_url: str | None
    category_id: UUID | None


class Change(Struct, frozen=True):
    """A product as it is since this version of the catalogue. `is_sellable`: neither delisted nor
    deleted nor out of stock."""

    version: int
    number: int
    is_sellable: bool
    category_id: UUID | None


class Catalogue(Protocol):
    """Every method raises StoreUnavailable when PostgreSQL cannot be asked."""

    async def find(self, product_id: UUID) -> Card | None:
        """None for what is unknown, delisted or deleted; what is out of stock is found."""
        ...

    async def numbers(self, product_ids: Collection[UUID]) -> dict[UUID, int]:
        """Of those that `find` finds."""
        ...

    async def sellable(self, numbers: Collection[int]) -> dict[int, Card]:
        """Those that can be bought at this moment, by their number."""
        ...

    async def search(self, words: str, *, limit: int) -> tuple[Card, ...]:
        """Sellable ones whose names have the words, Chinese or English; the best first."""
        ...

    async def changes(self, since: int, *, limit: int) -> tuple[Change, ...]:
        """The latest state of products that changed after that version, the oldest first. Fewer
        than `limit`: these are all."""
        ...
