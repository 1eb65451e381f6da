"""Which products to show, to customers and to agents: found by words, or what fits the customer.

Nobody waits long for it and nothing hangs on it: where the catalogue or the recommendations are
slow or fail, there is nothing to show.
"""

import logging
from collections.abc import Awaitable
from typing import Final, Literal, TypeVar
from uuid import UUID

import anyio
from msgspec import Struct

from kefu.bot.messages import PRODUCTS_MOST
from kefu.bot.wishes import Wish, is_named, wish_of
from kefu.catalogue.messages import Card, Catalogue
from kefu.recommendations.messages import Recommended, Recommender
from kefu.storage.errors import StoreUnavailable

WITHIN_S: Final = 1.0
SEARCHED: Final = 20
WORDS_CHARS: Final = 100
VIEWED_MOST: Final = 10
RECOMMENDED_MOST: Final = 6
log = logging.getLogger("kefu.bot")
T = TypeVar("T")


class Shown(Struct, frozen=True):
    """`is_named`: these are what was named; else they may merely please."""

    cards: tuple[Card, ...] = ()
    is_named: bool = False


class Suggested(Struct, frozen=True):
    """A product an agent may show: because of the customer's words, of what they viewed (`because`
    names one of those, where it is known), or because many look at it."""

    card: Card
    reason: Literal["words", "views", "popular"]
    because: Card | None = None


class Showcase:
    def __init__(
        self, catalogue: Catalogue, recommender: Recommender, *, within_s: float = WITHIN_S
    ) -> None:
        self._catalogue = catalogue
        self._recommender = recommender
        self._within_s = within_s

    async def fitting(self, wish: Wish, viewer: UUID | None) -> Shown:
        """What is shown to a customer who wishes that."""
        return await self._in_time(self._fitting(wish, viewer), Shown())

    async def suggested(self, text: str, viewer: UUID) -> tuple[Suggested, ...]:
        """What an agent may show to the customer who said that."""
        return await self._in_time(self._suggested(text, viewer), ())

    async def viewed(self, viewer: UUID) -> tuple[Card, ...]:
        """The last first."""
        return await self._in_time(self._recommender.viewed(viewer, limit=VIEWED_MOST), ())

    async def recommended(self, viewer: UUID) -> tuple[Recommended, ...]:
        return await self._in_time(self._for_viewer(viewer, RECOMMENDED_MOST), ())

    async def _in_time(self, look: Awaitable[T], nothing: T) -> T:
        try:
            with anyio.fail_after(self._within_s):
                return await look
        except (TimeoutError, StoreUnavailable) as failure:
            log.warning("products_not_shown", extra={"failure": type(failure).__name__})
        except Exception:
            log.exception("products_not_shown")
        return nothing

    async def _fitting(self, wish: Wish, viewer: UUID | None) -> Shown:
        found = await self._found(wish)
        if found or not wish.is_advice or viewer is None:
            return Shown(found, is_named=True)
        items = await self._for_viewer(viewer, PRODUCTS_MOST)
        return Shown(tuple(item.card for item in items))

    async def _found(self, wish: Wish) -> tuple[Card, ...]:
        """By all that was said of it, or else by its name alone; nothing that has another name."""
        for words in dict.fromkeys((wish.phrase, wish.noun) if wish.noun else ()):
            hits = await self._catalogue.search(words[:WORDS_CHARS], limit=SEARCHED)
            cards = tuple(card for card in hits if is_named(card.name, wish.noun))
            if cards:
                return cards[:PRODUCTS_MOST]
        return ()

    async def _suggested(self, text: str, viewer: UUID) -> tuple[Suggested, ...]:
        wish = wish_of(text)
        found = await self._found(wish) if wish is not None else ()
        if wish is None and text.strip():
            words = text.strip()[-WORDS_CHARS:]
            found = await self._catalogue.search(words, limit=PRODUCTS_MOST)
        if found:
            return tuple(Suggested(card, "words") for card in found[:PRODUCTS_MOST])
        return tuple(map(_suggestion, await self._for_viewer(viewer, PRODUCTS_MOST)))

    async def _for_viewer(self, viewer: UUID, limit: int) -> tuple[Recommended, ...]:
        return (await self._recommender.for_viewer(viewer, limit=limit)).items[:limit]


def _suggestion(item: Recommended) -> Suggested:
    is_theirs = item.score > 0 or item.because is not None
    return Suggested(item.card, "views" if is_theirs else "popular", item.because)
