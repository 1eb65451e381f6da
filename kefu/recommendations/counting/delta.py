"""What was viewed since the last compaction: pairs in the order they came, chained both ways.

Each entry names the one before it of the same viewer, and of the same product; entries are counted
on from compaction to compaction, so that dropping the old ones touches no chain.
"""

from typing import Final

import numpy as np

from kefu.recommendations.counting.rows import NO_INTS, Ints, is_begun, roomy

NOBODY: Final = -1
_FEW: Final = 8


class Delta:
    """Entries `first` to `end`; a viewer is NOBODY where the view was taken back."""

    def __init__(self) -> None:
        self.first = self.end = 1
        self._viewers = self._products = NO_INTS
        self._before_of_viewer = self._before_of_product = NO_INTS
        self._last_of_viewer = self._last_of_product = NO_INTS

    def __len__(self) -> int:
        return self.end - self.first

    def reach(self, viewers: int, products: int) -> None:
        """There are so many of them now."""
        self._last_of_viewer = roomy(self._last_of_viewer, viewers, 0)
        self._last_of_product = roomy(self._last_of_product, products, 0)

    def append(self, viewers: Ints, products: Ints) -> None:
        """New pairs."""
        size = len(self) + viewers.size
        for name in ("_viewers", "_products", "_before_of_viewer", "_before_of_product"):
            setattr(self, name, roomy(getattr(self, name), size, 0))
        here = slice(len(self), size)
        entries = np.arange(self.end, self.end + viewers.size, dtype=np.int32)
        self._viewers[here], self._products[here] = viewers, products
        self._before_of_viewer[here] = _chained(viewers, entries, self._last_of_viewer)
        self._before_of_product[here] = _chained(products, entries, self._last_of_product)
        self.end += viewers.size

    def histories(self, viewers: Ints, until: int | None = None) -> tuple[Ints, Ints]:
        """What each of them viewed, up to entry `until`: whose (by place in `viewers`) and what,
        not in any order."""
        at = self._last_of_viewer[viewers]
        whose = np.flatnonzero(at >= self.first).astype(np.int32)
        at = at[whose]
        owners, entries = [], []
        while at.size > _FEW:
            owners.append(whose)
            entries.append(at)
            at = self._before_of_viewer[at - self.first]
            is_on = at >= self.first
            whose, at = whose[is_on], at[is_on]
        owned_links: list[int] = []
        links: list[int] = []
        for owner, last in zip(whose.tolist(), at.tolist(), strict=True):
            chain = self._chain(last, self._before_of_viewer)
            links += chain
            owned_links += [owner] * len(chain)
        found = np.concatenate((*entries, np.array(links, np.int32)))
        owned = np.concatenate((*owners, np.array(owned_links, np.int32)))
        if until is not None:
            is_before = found < until
            found, owned = found[is_before], owned[is_before]
        return owned, self._products[found - self.first]

    def history(self, viewer: int) -> Ints:
        """The last first."""
        chain = self._chain(int(self._last_of_viewer[viewer]), self._before_of_viewer)
        products: Ints = self._products[np.array(chain, np.int64) - self.first]
        return products

    def viewers_of(self, product: int, limit: int | None = None) -> Ints:
        """The last first."""
        chain = self._chain(int(self._last_of_product[product]), self._before_of_product, limit)
        return _present(self._viewers[np.array(chain, np.int64) - self.first])

    def viewers_until(self, product: int, until: int) -> Ints:
        """Those of the entries up to `until`: one look at all, where a chain would be long."""
        size = until - self.first
        return _present(self._viewers[:size][self._products[:size] == product])

    def take_back(self, viewer: int) -> None:
        """This viewer has viewed nothing."""
        chain = self._chain(int(self._last_of_viewer[viewer]), self._before_of_viewer)
        self._viewers[np.array(chain, np.int64) - self.first] = NOBODY
        self._last_of_viewer[viewer] = 0

    def pairs(self) -> tuple[Ints, Ints]:
        """Copies of viewers and products, in order, without what was taken back."""
        viewers, products = self._viewers[: len(self)], self._products[: len(self)]
        is_there = viewers != NOBODY
        return viewers[is_there], products[is_there]

    def drop(self, until: int) -> None:
        """Forget the entries before `until`: they are elsewhere now."""
        gone = until - self.first
        for name in ("_viewers", "_products", "_before_of_viewer", "_before_of_product"):
            setattr(self, name, getattr(self, name)[gone : len(self)].copy())
        self.first = until

    def _chain(self, last: int, before: Ints, limit: int | None = None) -> list[int]:
        entries: list[int] = []
        first = self.first
        while last >= first and len(entries) != limit:
            entries.append(last)
            last = before.item(last - first)
        return entries


def _present(viewers: Ints) -> Ints:
    present: Ints = viewers[viewers != NOBODY]
    return present


def _chained(rows: Ints, entries: Ints, last: Ints) -> Ints:
    """The entries before these in their rows, some of which may be the same; `last` goes on."""
    order = np.argsort(rows, kind="stable")
    ranked, entered = rows[order], entries[order]
    chained = last[ranked]
    np.copyto(chained[1:], entered[:-1], where=~is_begun(ranked)[1:])
    last[rows] = entries  # of several, the last one stays
    before = np.empty_like(entries)
    before[order] = chained
    return before
