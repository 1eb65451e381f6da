"""The formula, computed with scipy from all the pairs there are: slow, short, and not ours."""

from collections.abc import Callable
from uuid import UUID

import numpy as np
from scipy import sparse


class Oracle:
    """Who viewed what, as sets; guests who joined are their customers."""

    def __init__(self) -> None:
        self.viewed: dict[UUID, dict[int, None]] = {}
        self.joined: dict[UUID, UUID] = {}
        self.settled: set[UUID] = set()

    def view(self, viewer: UUID, product: int) -> None:
        self.viewed.setdefault(self._who(viewer), {}).setdefault(product)

    def join(self, guest: UUID, customer: UUID, *, is_guest: bool = False) -> None:
        """Whoever is the same guest goes along."""
        if guest in self.settled:
            return
        old, new = self._who(guest), self._who(customer)
        moved = {guest}
        if old != new:
            moved |= {old, *(each for each, root in self.joined.items() if root == old)}
            self.viewed.setdefault(new, {}).update(self.viewed.pop(old, {}))
        self.joined.update(dict.fromkeys(moved, new))
        if not is_guest or customer in self.settled:
            self.settled |= moved

    def history(self, viewer: UUID) -> set[int]:
        return set(self.viewed.get(self._who(viewer), {}))

    def viewer_count(self, product: int) -> int:
        return sum(product in history for history in self.viewed.values())

    def scores(self, product: int, is_sellable: Callable[[int], bool]) -> dict[int, float]:
        """Of all products with a viewer in common; what may not be shown is left out."""
        histories = list(self.viewed.values())
        pairs = [(row, each) for row, history in enumerate(histories) for each in history]
        if not pairs:
            return {}
        rows, columns = zip(*pairs, strict=True)
        size = max(columns) + 1
        if product >= size:
            return {}
        matrix = sparse.csc_matrix(
            (np.ones(len(pairs)), (rows, columns)), shape=(len(histories), size)
        )
        both = (matrix.T @ matrix[:, [product]]).toarray().ravel()
        count = np.asarray(matrix.sum(axis=0)).ravel()
        return {
            other: float(both[other] / np.sqrt(count[product] * count[other]))
            for other in range(size)
            if both[other] and other != product and is_sellable(other)
        }

    def _who(self, viewer: UUID) -> UUID:
        return self.joined.get(viewer, viewer)


def assert_same(found: list[tuple[int, float]], scores: dict[int, float], limit: int) -> None:
    """The same scores in the same order; of products that are equally alike any may be left out."""
    best = sorted(scores.values(), reverse=True)[:limit]
    assert [score for _, score in found] == best
    assert len({product for product, _ in found}) == len(found)
    for product, score in found:
        assert scores[product] == score
