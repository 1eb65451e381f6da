"""What this instance can answer from: its own index, or until that is whole what others published.

Everything here is made while the server already serves: an index is there only once it was loaded.
"""

import logging
from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from kefu.recommendations.availability import Availability
from kefu.recommendations.follower import Follower
from kefu.recommendations.ports import Index, LogUnavailable
from kefu.recommendations.products import Products
from kefu.recommendations.published import Published
from kefu.recommendations.turns import Turns

log = logging.getLogger("kefu.recommendations")


class Stock(Struct, frozen=True):
    """An index, and who keeps it up to date."""

    index: Index
    follower: Follower
    availability: Availability

    @property
    def is_whole(self) -> bool:
        return self.follower.has_caught_up and self.availability.is_whole


class Shelf:
    """Its methods raise StoreUnavailable."""

    def __init__(self, products: Products, published: Published, turns: Turns) -> None:
        self.stock: Stock | None = None
        """None until it was loaded."""
        self._products = products
        self._published = published
        self._turns = turns

    @property
    def whole(self) -> Index | None:
        """The index, once it has all views and products."""
        return self.stock.index if self.stock is not None and self.stock.is_whole else None

    async def neighbours(self, product: int, limit: int) -> Sequence[tuple[int, float]]:
        """The most alike first. An index that is not whole is better than nothing."""
        if self.whole is None:
            found = await self._published_neighbours(product, limit)
            if found:
                return found
        if self.stock is None:
            return ()
        async with self._turns.answering():
            return self.stock.index.neighbours(product, limit)

    def popular(
        self, limit: int, category_id: UUID | None = None, *, is_of_category: bool = False
    ) -> Sequence[int]:
        """The most viewed of the shop, or of the category."""
        if self.stock is None:
            return ()
        if not is_of_category:
            return self.stock.index.popular(limit)
        category = self.stock.availability.category(category_id)
        return () if category is None else self.stock.index.popular(limit, category)

    def history(self, viewer: UUID, limit: int) -> Sequence[int]:
        return () if self.stock is None else self.stock.index.history(viewer, limit)

    def is_full(self, viewer: UUID) -> bool:
        """Whether no more of their views is counted."""
        return self.stock is not None and self.stock.index.is_full(viewer)

    async def _published_neighbours(self, product: int, limit: int) -> list[tuple[int, float]]:
        ids = await self._products.ids((product,))
        if not ids:
            return []
        try:
            found = await self._published.read(ids[product], limit)
        except LogUnavailable:
            log.warning("published_unread")
            return []
        numbers = await self._products.numbers([id for id, _ in found])
        return [(numbers[id], score) for id, score in found if id in numbers]
