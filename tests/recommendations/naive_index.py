"""The index as sets and dicts: slow, small, and so plain that it is right."""

from collections.abc import Iterable
from math import sqrt
from typing import Any
from uuid import UUID

from kefu.recommendations.views import Packed

HISTORY = 90


class NaiveIndex:
    """See `kefu.recommendations.ports.Index`."""

    def __init__(self) -> None:
        self._viewed: dict[UUID, dict[int, None]] = {}
        self._joined: dict[UUID, UUID] = {}
        self._sellable: set[int] = set()
        self._category: dict[int, int] = {}
        self._changed: dict[int, None] = {}
        self.largest_slice = 0

    def __len__(self) -> int:
        return sum(map(len, self._viewed.values()))

    @property
    def viewers(self) -> int:
        return len(self._viewed)

    def add(self, views: Packed) -> int:
        self.largest_slice = max(self.largest_slice, len(views))
        before = len(self)
        for high, low, product, _at in views.tolist():
            viewer = UUID(int=high << 64 | low)
            viewed = self._viewed.setdefault(self._joined.get(viewer, viewer), {})
            if product not in viewed:
                viewed[product] = self._changed[product] = None
        return len(self) - before

    def join(self, guest: UUID, customer: UUID, *, is_guest: bool = False) -> None:
        before = self._joined.get(guest, guest)
        self._joined[guest] = customer
        viewed = self._viewed.setdefault(customer, {})
        for product in self._viewed.pop(before, {}):
            viewed[product] = self._changed[product] = None

    def history(self, viewer: UUID, limit: int) -> list[int]:
        return list(self._viewed.get(self._joined.get(viewer, viewer), {}))[::-1][:limit]

    def is_full(self, viewer: UUID) -> bool:
        return len(self.history(viewer, HISTORY)) >= HISTORY

    def viewers_of(self, product: int) -> set[UUID]:
        return {viewer for viewer, viewed in self._viewed.items() if product in viewed}

    def viewer_count(self, product: int) -> int:
        return len(self.viewers_of(product))

    def neighbours(self, product: int, limit: int) -> list[tuple[int, float]]:
        own = self.viewers_of(product)
        scores = {}
        for other in self._products() - {product}:
            others = self.viewers_of(other)
            if both := len(own & others):
                scores[other] = both / sqrt(len(own) * len(others))
        best = sorted(scores, key=lambda each: (-scores[each], each))
        return [(each, scores[each]) for each in best if each in self._sellable][:limit]

    def popular(self, limit: int, category: int | None = None) -> list[int]:
        found = [
            each
            for each in self._products() & self._sellable
            if category is None or self._category[each] == category
        ]
        return sorted(found, key=lambda each: (-self.viewer_count(each), each))[:limit]

    def set_products(
        self, numbers: Iterable[Any], sellable: Iterable[Any], categories: Iterable[Any]
    ) -> None:
        for number, is_sellable, category in zip(numbers, sellable, categories, strict=True):
            self._category[int(number)] = int(category)
            (self._sellable.add if is_sellable else self._sellable.discard)(int(number))

    def take_changed(self, limit: int) -> list[int]:
        taken = list(self._changed)[:limit]
        for product in taken:
            del self._changed[product]
        return taken

    def _products(self) -> set[int]:
        return {product for viewed in self._viewed.values() for product in viewed}
