"""Answers what goes with a product, and what with all a viewer looked at.

The index proposes, the catalogue decides: whatever is answered can be bought at this moment. Places
still free are filled with what is viewed most, of the same category first.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from kefu.catalogue.messages import Card, Catalogue
from kefu.clock import Clock
from kefu.recommendations.blending import Blended, blended
from kefu.recommendations.figures import Figures
from kefu.recommendations.messages import Algorithm, Recommendations, Recommended
from kefu.recommendations.products import Products
from kefu.recommendations.shelf import Shelf

MARGIN: Final = 10
MOST_ASKED: Final = 800
RECENT: Final = 5


class Answers:
    """Keeps the promises of `messages.Recommender`. `history_limit`: of how many products it is
    known that a viewer has seen them."""

    def __init__(
        self,
        catalogue: Catalogue,
        products: Products,
        shelf: Shelf,
        clock: Clock,
        figures: Figures,
        history_limit: int,
    ) -> None:
        self._catalogue = catalogue
        self._products = products
        self._shelf = shelf
        self._clock = clock
        self._figures = figures
        self._history_limit = history_limit

    async def similar(self, product_id: UUID, *, limit: int) -> Recommendations | None:
        """As the port says."""
        async with self._timed("similar"):
            card = await self._catalogue.find(product_id)
            if card is None:
                return None
            self._products.note(card.id, card.number)
            items = await self._alike(card, limit)
            return await self._filled(items, limit, {card.number}, card.category_id)

    async def for_viewer(self, viewer: UUID, *, limit: int) -> Recommendations:
        """As the port says."""
        async with self._timed("for_viewer"):
            history = self._shelf.history(viewer, self._history_limit)
            wanted = limit + MARGIN
            viewed = [
                (product, await self._shelf.neighbours(product, wanted + RECENT))
                for product in history[:RECENT]
            ]
            seen = set(history)
            items = await self._explained(blended(viewed, seen), limit)
            return await self._filled(items, limit, seen, None)

    async def viewed(self, viewer: UUID, *, limit: int) -> tuple[Card, ...]:
        """As the port says."""
        history = self._shelf.history(viewer, limit + MARGIN)
        cards = await self._catalogue.sellable(history) if history else {}
        return tuple(cards[number] for number in history if number in cards)[:limit]

    async def _alike(self, card: Card, limit: int) -> list[Recommended]:
        """Where too many were sold out just now, more is asked for."""
        items: list[Recommended] = []
        wanted, tried = limit + MARGIN, 0
        while True:
            found = await self._shelf.neighbours(card.number, wanted)
            fresh = [(number, score) for number, score in found[tried:] if number != card.number]
            cards = await self._catalogue.sellable([number for number, _ in fresh]) if fresh else {}
            items += [
                Recommended(cards[number], score) for number, score in fresh if number in cards
            ]
            if len(items) >= limit or len(found) < wanted or wanted >= MOST_ASKED:
                return items[:limit]
            wanted, tried = wanted * 4, len(found)

    async def _explained(self, found: Sequence[Blended], limit: int) -> list[Recommended]:
        asked = found[: limit + MARGIN]
        numbers = {each.product for each in asked} | {each.because for each in asked}
        cards = await self._catalogue.sellable(numbers) if numbers else {}
        items = [
            Recommended(cards[each.product], each.score, cards.get(each.because))
            for each in asked
            if each.product in cards
        ]
        return items[:limit]

    async def _filled(
        self,
        items: list[Recommended],
        limit: int,
        left_out: set[int],
        category_id: UUID | None,
    ) -> Recommendations:
        count = len(items)
        if count < limit:
            taken = left_out | {item.card.number for item in items}
            items += await self._popular(limit - count, taken, category_id)
        return Recommendations(tuple(items), _algorithm(count, len(items)))

    async def _popular(
        self, count: int, taken: set[int], category_id: UUID | None
    ) -> list[Recommended]:
        wanted = count + len(taken) + MARGIN
        of_category = self._shelf.popular(wanted, category_id, is_of_category=True)
        numbers = [
            number
            for number in dict.fromkeys((*of_category, *self._shelf.popular(wanted)))
            if number not in taken
        ]
        cards = await self._catalogue.sellable(numbers[: 2 * (count + MARGIN)]) if numbers else {}
        return [Recommended(cards[number], 0.0) for number in numbers if number in cards][:count]

    @asynccontextmanager
    async def _timed(self, kind: str) -> AsyncIterator[None]:
        began = self._clock.monotonic()
        yield
        self._figures.seconds.labels(kind).observe(self._clock.monotonic() - began)


def _algorithm(alike_count: int, count: int) -> Algorithm:
    if alike_count == 0:
        return "popular"
    if count > alike_count:
        return "collaborative_filtering+popular"
    return "collaborative_filtering"
