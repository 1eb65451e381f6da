"""Products so much viewed that counting all their viewers' views takes too long for one answer.

For these the count is made beside the answers, a slice at a time, and kept for the most alike; each
view that comes is added to it, so that it stays exact for those. Whoever is not among them comes in
with the next count.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from msgspec import Struct

from kefu.recommendations.counting.rows import NO_INTS, Flags, Ints, Longs, roomy

KEPT: Final = 128
_NOBODY: Final = np.iinfo(np.int32).max


class Hot(Struct, frozen=True):
    """One product. `products` rise, None before the first count; `both` is how many viewers each
    has in common with it. `is_stale`: something has changed since it was counted."""

    products: Ints | None
    both: Longs
    is_stale: bool


class Hots:
    """All of them. A view touches dozens, so they lie in the rows of one table: `_other` are the
    kept ones, rising, filled up with nobody."""

    def __init__(self) -> None:
        self._row: dict[int, int] = {}
        self._products: list[int] = []
        self._row_of: Ints = NO_INTS
        self._is_noted: Flags = np.empty(0, np.bool_)
        """Both by product."""
        self._other: Ints = NO_INTS
        self._both: Longs = np.empty(0, np.int64)
        self._is_stale: Flags = np.empty(0, np.bool_)
        self._is_counted: Flags = np.empty(0, np.bool_)
        self._turn: Longs = np.empty(0, np.int64)
        self._turns = 0
        self._later: dict[int, list[tuple[Ints, int]]] = {}

    def __len__(self) -> int:
        return len(self._row)

    def __iter__(self) -> Iterator[int]:
        return iter(self._row)

    def get(self, product: int) -> Hot | None:
        row = self._row.get(product)
        if row is None:
            return None
        if not self._is_counted[row]:
            return Hot(None, np.empty(0, np.int64), is_stale=True)
        other, both = self._of(row)
        size = int(np.searchsorted(other, _NOBODY))
        return Hot(other[:size], both[:size], bool(self._is_stale[row]))

    def next(self) -> int | None:
        """Of those that are to be counted, the one whose last count began the longest ago."""
        stale = np.flatnonzero(self._is_stale[: len(self)])
        if not stale.size:
            return None
        return self._products[int(stale[np.argmin(self._turn[stale])])]

    def reach(self, products: int) -> None:
        """There are so many of them now."""
        self._row_of = roomy(self._row_of, products, 0)
        self._is_noted = roomy(self._is_noted, products, fill=False)

    def watch(self, product: int) -> None:
        row = self._row[product] = len(self._row)
        self._products.append(product)
        self._other = roomy(self._other, (row + 1) * KEPT, _NOBODY)
        self._both = roomy(self._both, self._other.size, 0)
        self._is_stale = roomy(self._is_stale, row + 1, fill=True)
        self._is_counted = roomy(self._is_counted, row + 1, fill=False)
        self._turn = roomy(self._turn, row + 1, 0)

    def note(
        self, products: Ints, is_meant: Flags, owners: Ints, others: Ints, by: int = 1
    ) -> None:
        """Each of `others` and the product that owns it have so many more viewers in common."""
        first = np.flatnonzero((self._is_noted[products] & is_meant)[owners])
        second = np.flatnonzero(self._is_noted[others])
        second = second[is_meant[owners[second]]]
        if first.size or second.size:
            ones = np.concatenate((products[owners[first]], others[second]))
            rows = self._row_of[ones]
            others = np.concatenate((others[first], products[owners[second]]))
            self._is_stale[rows] = True
            for row, later in self._later.items():
                later.append((others[rows == row], by))
            self._apply(rows, others, by)

    def begin(self, product: int) -> None:
        """A count begins; what is noted from now on is not in it."""
        row = self._row[product]
        self._later[row] = []
        self._turns += 1
        self._turn[row] = self._turns
        self._row_of[product], self._is_noted[product] = row, True

    def give_up(self, product: int) -> None:
        """The count came to nothing, if it has not ended."""
        self._later.pop(self._row[product], None)

    def finish(self, product: int, products: Longs, both: Ints) -> None:
        """The count: at most KEPT `products`, which rise."""
        row = self._row[product]
        other, kept = self._of(row)
        other[: products.size], other[products.size :] = products, _NOBODY
        kept[: products.size] = both
        later = self._later.pop(row)
        self._is_counted[row], self._is_stale[row] = True, any(each.size for each, _ in later)
        for others, by in later:
            self._apply(np.full(others.size, row, np.int32), others, by)

    def _apply(self, rows: Ints, others: Ints, by: int) -> None:
        """Halving all rows at once: ten times as fast as one search in the whole table."""
        at, step = rows.astype(np.int64) * KEPT, KEPT // 2
        while step:
            at += step * (self._other[at + step] <= others)
            step //= 2
        np.add.at(self._both, at[self._other[at] == others], by)

    def _of(self, row: int) -> tuple[Ints, Longs]:
        here = slice(row * KEPT, (row + 1) * KEPT)
        return self._other[here], self._both[here]
