"""Products' ids and their numbers: asked of the catalogue once, then remembered.

Neither ever changes, so only the number of those that are remembered is bounded. A product that was
deleted is still known here: whether it may be shown is asked of the catalogue each time.
"""

from collections.abc import Collection
from typing import Final, TypeVar
from uuid import UUID

from kefu.catalogue.messages import Catalogue

REMEMBERED: Final = 50_000
K = TypeVar("K")
V = TypeVar("V")


class Products:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._numbers: dict[UUID, int] = {}
        self._ids: dict[int, UUID] = {}

    def note(self, id: UUID, number: int) -> None:
        _put(self._numbers, id, number)
        _put(self._ids, number, id)

    async def numbers(self, ids: Collection[UUID]) -> dict[UUID, int]:
        """Of those that there are. Raises StoreUnavailable."""
        known = {id: self._numbers[id] for id in ids if id in self._numbers}
        missing = [id for id in ids if id not in known]
        found = await self._catalogue.numbers(missing) if missing else {}
        for id, number in found.items():
            self.note(id, number)
        return known | found

    async def ids(self, numbers: Collection[int]) -> dict[int, UUID]:
        """Of those that were asked for by their ids, or can be bought. Raises StoreUnavailable."""
        known = {number: self._ids[number] for number in numbers if number in self._ids}
        missing = [number for number in numbers if number not in known]
        cards = await self._catalogue.sellable(missing) if missing else {}
        for number, card in cards.items():
            self.note(card.id, number)
        return known | {number: card.id for number, card in cards.items()}


def _put(known: dict[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
