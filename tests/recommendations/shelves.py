"""A catalogue in memory, whose products sell out when a test says so."""

from collections.abc import Collection
from uuid import UUID, uuid5

from kefu.catalogue.messages import Card, Change
from kefu.storage.errors import StoreUnavailable

NAMES = UUID("00000000-0000-0000-0000-00000000cafe")


def id_of(number: int) -> UUID:
    return uuid5(NAMES, f"product {number}")


def category_of(letter: str) -> UUID:
    return uuid5(NAMES, f"category {letter}")


class Shelves:
    """See `kefu.catalogue.messages.Catalogue`."""

    def __init__(self) -> None:
        self._cards: dict[int, Card] = {}
        self._stock: dict[int, int] = {}
        self._changes: dict[int, Change] = {}
        self._version = 0
        self._delisted: set[int] = set()
        self.is_away = False
        self.asked: list[int] = []
        """How many products each question was about."""

    def put(self, *numbers: int, category: str | None = None, stock: int = 5) -> None:
        for number in numbers:
            category_id = category_of(category) if category else None
            price = 9.5 if number % 2 else 10
            name = f"product {number}"
            card = Card(id_of(number), number, name, price, "CNY", f"/{number}.png", category_id)
            self._cards[number] = card
            self.set_stock(number, stock)

    def set_stock(self, number: int, stock: int) -> None:
        self._stock[number] = stock
        self._changed(number)

    def delist(self, number: int) -> None:
        self._delisted.add(number)
        self._changed(number)

    def _changed(self, number: int) -> None:
        self._version += 1
        self._changes.pop(number, None)
        category_id = self._cards[number].category_id
        change = Change(self._version, number, self._can_be_bought(number), category_id)
        self._changes[number] = change

    def _can_be_bought(self, number: int) -> bool:
        return self._stock.get(number, 0) > 0 and number not in self._delisted

    def _ask(self, count: int) -> None:
        self.asked.append(count)
        if self.is_away:
            raise StoreUnavailable("The database cannot be reached.")

    async def find(self, product_id: UUID) -> Card | None:
        self._ask(1)
        found = (card for card in self._cards.values() if card.id == product_id)
        return next((card for card in found if card.number not in self._delisted), None)

    async def numbers(self, product_ids: Collection[UUID]) -> dict[UUID, int]:
        self._ask(len(product_ids))
        wanted = set(product_ids)
        return {
            card.id: card.number
            for card in self._cards.values()
            if card.id in wanted and card.number not in self._delisted
        }

    async def sellable(self, numbers: Collection[int]) -> dict[int, Card]:
        self._ask(len(numbers))
        return {each: self._cards[each] for each in numbers if self._can_be_bought(each)}

    async def search(self, words: str, *, limit: int) -> tuple[Card, ...]:
        self._ask(limit)
        found = [card for card in self._cards.values() if words in card.name]
        return tuple(found[:limit])

    async def changes(self, since: int, *, limit: int) -> tuple[Change, ...]:
        self._ask(limit)
        return tuple(each for each in self._changes.values() if each.version > since)[:limit]
