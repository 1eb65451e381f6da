"""Who viewed what, and what that says: exact at every moment, in memory, without I/O.

Large arrays that never change (`Postings`) and a delta on top of them. Pairs of products are not
stored: which go together is counted when it is asked, from the histories of a product's viewers.
Where that takes too long (`Hot`), the count is made beside the answers and kept up.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Final
from uuid import UUID

import numpy as np

from kefu.recommendations.counting.compaction import Cut
from kefu.recommendations.counting.delta import Delta
from kefu.recommendations.counting.hot import KEPT, Hots
from kefu.recommendations.counting.numbering import Halves, Numbering, settled
from kefu.recommendations.counting.popularity import Popularity
from kefu.recommendations.counting.postings import Postings, no_postings
from kefu.recommendations.counting.rows import (
    NO_INTS,
    Flags,
    Ints,
    Longs,
    gather,
    ranks,
    roomy,
    slices,
    with_room,
)
from kefu.recommendations.counting.scoring import Score, Scores, best, cosine, counted, most_alike
from kefu.recommendations.views import Packed, halves

INLINE_VIEWS: Final = 40_000
INLINE_VIEWERS: Final = 10_000
"""Above either, a product is hot."""
SAMPLED_VIEWERS: Final = 2_000
SUSPECT_VIEWERS: Final = 500
"""Of one with fewer viewers it is found out when it is asked for."""
SLICE_VIEWERS: Final = 1_000
SLICE_VIEWS: Final = 7_500
SLICE_PRODUCTS: Final = 100_000
"""At most, between two chances for others: each takes about half a millisecond."""
JOINED_AT_ONCE: Final = 100
PRODUCTS: Final = 20_000_000
CHANGED: Final = 100_000
ONE: Final = np.int32(1)
"""Of the arrays' own type: with another one `np.add.at` takes sixty times as long."""
NO_HALVES: Final[Halves] = np.empty(0, np.uint64)


class Index:
    """Not for two threads. A viewer has at most `history_limit` products: more are not counted."""

    def __init__(
        self,
        postings: Postings | None = None,
        numbering: Numbering | None = None,
        *,
        history_limit: int = 2_000,
        score: Score = cosine,
    ) -> None:
        self.postings = postings or no_postings()
        self._numbering = numbering or Numbering(NO_HALVES, NO_HALVES, NO_INTS)
        self._history_limit, self._score = history_limit, score
        self._delta = Delta()
        self._product_count = self.postings.product_count
        self._row_length = with_room(np.diff(self.postings.product_start).astype(np.int32))
        self._history_length = self._row_length.copy()
        self._count = with_room(np.diff(self.postings.viewer_start))
        self._products = Popularity(self._count)
        self.hot = Hots()
        self._changed: deque[int] = deque()
        self._is_changed: Flags = np.zeros(self._count.size, np.bool_)
        self._ids_written = self._numbering.size
        self._renamed: list[tuple[int, int, int]] = []
        self._emptied: list[int] = []
        self._cut: Cut | None = None
        self._reach(self.postings.product_count)

    # --- what comes in ----------------------------------------------------------------------------

    def add(self, views: Packed) -> int:
        """Count them; how many pairs of viewer and product are new. For some hundred at once."""
        views = views[views["product"] < PRODUCTS]
        if not views.size:
            return 0
        high, low = (np.ascontiguousarray(views[each]) for each in ("viewer_hi", "viewer_lo"))
        viewers, products = self._numbering.assign(high, low), views["product"].astype(np.int32)
        self._reach(int(products.max()) + 1)
        order = np.argsort(viewers, kind="stable")
        return self._add(viewers[order], products[order])

    def join(self, guest: UUID, customer: UUID, *, is_guest: bool = False) -> None:
        """What the guest viewed is the customer's, and what they will view; once for each guest.

        `is_guest`: it is another guest's, who may become a customer later.
        """
        old_key, new_key = _key(guest), _key(customer)
        if self._numbering.is_settled(*old_key):
            return
        old = int(self._numbering.find(*old_key)[0])
        new = int(self._numbering.assign(*new_key)[0])
        self._reach(0)
        is_open = is_guest and not self._numbering.is_settled(*new_key)
        kept = new if is_open else settled(new)
        if old < 0:
            self._numbering.add(*old_key, np.array([kept], np.int32))
            return
        high, low = old_key if old == new else self._numbering.sharing(old)
        self._numbering.rename(high, low, kept)
        self._renamed += zip(high.tolist(), low.tolist(), itertools.repeat(kept), strict=False)
        if old != new:
            self._move(old, new)

    def _move(self, old: int, new: int) -> None:
        """Nobody may have the old number again: the postings know it for views that are gone."""
        history = self._history(old)[::-1].copy()
        self._empty(old, history)
        for start in range(0, history.size, JOINED_AT_ONCE):
            some = history[start : start + JOINED_AT_ONCE]
            self._add(np.full(some.size, new, np.int32), some)

    def set_products(self, numbers: Ints, sellable: Flags, categories: Ints) -> None:
        """What may be recommended, and in which category it is; -1 for none."""
        if numbers.size:
            self._reach(int(numbers.max()) + 1)
            self._products.set(numbers, sellable, categories)

    def _add(self, viewers: Ints, products: Ints) -> int:
        """Views of one viewer stand together, the first first."""
        owners, items = self._histories(viewers)
        is_new = np.ones(viewers.size, np.bool_)
        is_new[owners[items == products[owners]]] = False
        places, earlier = _earlier(viewers)
        is_new[places[products[earlier] == products[places]]] = False
        new = np.flatnonzero(is_new)
        length = self._history_length[viewers[new]] + ranks(viewers[new])
        is_new[new[length >= self._history_limit]] = False
        if self.hot:
            self.hot.note(products, is_new, owners, items)
            is_meant = is_new[earlier]
            self.hot.note(products, is_new, places[is_meant], products[earlier[is_meant]])
        viewers, products = viewers[is_new], products[is_new]
        self._delta.append(viewers, products)
        np.add.at(self._history_length, viewers, ONE)
        np.add.at(self._count, products, 1)
        self._note_changed(products)
        return viewers.size

    def _note_changed(self, products: Ints) -> None:
        if len(self._changed) < CHANGED:
            products = products[~self._is_changed[products]]
            self._is_changed[products] = True
            self._changed.extend(dict.fromkeys(products.tolist()))

    def _empty(self, viewer: int, history: Ints) -> None:
        places, earlier = _earlier(np.zeros(history.size, np.int32))
        is_meant = np.ones(history.size, np.bool_)
        self.hot.note(history, is_meant, places, history[earlier], -1)
        self._delta.take_back(viewer)
        self._row_length[viewer] = self._history_length[viewer] = 0
        self._count[history] -= 1
        self._emptied.append(viewer)

    def _reach(self, products: int) -> None:
        """Room for all viewers, and for so many products."""
        viewers = self._numbering.viewers
        self._product_count = max(self._product_count, products)
        self._row_length = roomy(self._row_length, viewers, 0)
        self._history_length = roomy(self._history_length, viewers, 0)
        self._count = roomy(self._count, self._product_count, 0)
        self._is_changed = roomy(self._is_changed, self._count.size, fill=False)
        self.hot.reach(self._count.size)
        self._products.reach(self._count[: self._product_count])
        self._delta.reach(self._history_length.size, self._count.size)

    # --- what is asked ----------------------------------------------------------------------------

    def __len__(self) -> int:
        """Pairs of viewer and product, those taken back since the last compaction included."""
        return len(self.postings) + len(self._delta)

    @property
    def delta_size(self) -> int:
        return len(self._delta)

    @property
    def viewers(self) -> int:
        return self._numbering.viewers

    @property
    def viewer_room(self) -> int:
        """How many there may be before an array of all of them has to grow."""
        return self._history_length.size

    def viewer_count(self, product: int) -> int:
        """How many have viewed it."""
        return int(self._count[product]) if product < self._product_count else 0

    def history(self, viewer: UUID, limit: int) -> list[int]:
        """Products they viewed, the last first."""
        number = int(self._numbering.find(*_key(viewer))[0])
        return [] if number < 0 else self._history(number)[:limit].tolist()

    def is_full(self, viewer: UUID) -> bool:
        """Whether nothing more of theirs is counted."""
        number = int(self._numbering.find(*_key(viewer))[0])
        return number >= 0 and int(self._history_length[number]) >= self._history_limit

    def neighbours(self, product: int, limit: int) -> list[tuple[int, float]]:
        """What its viewers viewed too and can be bought, with scores, the best first."""
        if not self.viewer_count(product):
            return []
        hot = self.hot.get(product)
        if hot is None and (viewers := self._few_viewers(product)) is not None:
            return self._best(product, *counted(self._all_viewed(viewers)), limit)
        if hot is not None and hot.products is not None:
            return self._best(product, hot.products, hot.both, limit)
        self.watch(product)
        viewers = self._sample(product)
        products, both = counted(self._all_viewed(viewers))
        share = viewers.size / self.viewer_count(product)
        found = self._best(product, products, both, limit)
        return [(each, min(1.0, score / share)) for each, score in found]

    def popular(self, limit: int, category: int | None = None) -> list[int]:
        """What most have viewed and can be bought; of one category, or of all."""
        return self._products.most_viewed(limit, category)

    def take_changed(self, limit: int) -> list[int]:
        """Products that have new viewers, each told once, the longest ago first."""
        taken = [self._changed.popleft() for _ in range(min(limit, len(self._changed)))]
        self._is_changed[taken] = False
        return taken

    def _best(
        self, product: int, products: Ints, both: Longs, limit: int
    ) -> list[tuple[int, float]]:
        def scored(at: Longs) -> Scores:
            others = products[at]
            scores = self._score(both[at], self.viewer_count(product), self._count[others])
            scores[~self._products.is_sellable[others] | (others == product)] = 0.0
            return scores

        at, scores = most_alike(both, self.viewer_count(product), scored, limit)
        return list(zip(products[at].tolist(), scores.tolist(), strict=True))

    def _few_viewers(self, product: int) -> Ints | None:
        """Its viewers; None when they, or their histories, are too many to be counted at once."""
        if self._count[product] > INLINE_VIEWERS:
            return None
        viewers = np.concatenate(
            (self.postings.viewers_of(product), self._delta.viewers_of(product))
        )
        is_little = self._history_length[viewers].sum() <= INLINE_VIEWS
        return viewers if is_little else None

    def _sample(self, product: int) -> Ints:
        """Its latest viewers, as many as can be counted at once."""
        later = self._delta.viewers_of(product, SAMPLED_VIEWERS)
        row = self.postings.viewers_of(product)[: -SAMPLED_VIEWERS - 1 : -1]
        viewers = np.concatenate((later, row))[:SAMPLED_VIEWERS]
        total = np.cumsum(self._history_length[viewers])
        return viewers[: max(1, int(np.searchsorted(total, INLINE_VIEWS)))]

    def _all_viewed(self, viewers: Ints, until: int | None = None) -> Ints:
        """The histories of all of them, one behind the other."""
        rows = gather(
            self.postings.products, self.postings.starts(viewers), self._row_length[viewers]
        )
        return np.concatenate((rows, self._delta.histories(viewers, until)[1]))

    def _histories(self, viewers: Ints) -> tuple[Ints, Ints]:
        """The same, and whose each of them is, by place in `viewers`."""
        length = self._row_length[viewers]
        rows = gather(self.postings.products, self.postings.starts(viewers), length)
        owners = np.repeat(np.arange(viewers.size, dtype=np.int32), length)
        later_owners, later = self._delta.histories(viewers)
        return np.concatenate((owners, later_owners)), np.concatenate((rows, later))

    def _history(self, viewer: int) -> Ints:
        """The last first."""
        start = int(self.postings.starts(np.array([viewer]))[0])
        row = self.postings.products[start : start + int(self._row_length[viewer])]
        return np.concatenate((self._delta.history(viewer), row[::-1]))

    # --- what is counted beside the answers -------------------------------------------------------

    def watch(self, product: int) -> None:
        """Keep a count of this one: it is much viewed."""
        if self.hot.get(product) is None:
            self.hot.watch(product)

    def watch_heavy(self) -> Iterator[None]:
        """Watch every product that is much viewed, in steps: none has to be asked for first."""
        for place, product in enumerate(np.flatnonzero(self._count > SUSPECT_VIEWERS).tolist()):
            if self._few_viewers(product) is None:
                self.watch(product)
            if place % 10 == 9:
                yield

    def count_hot(self, product: int) -> Iterator[None]:
        """Count a watched product, in steps of about a millisecond.

        What is viewed between two steps is noted and added at the end. A compaction, or a viewer
        who is emptied, in the middle spoils the count: it is given up then, and still stale.
        """
        self.hot.begin(product)
        try:
            yield from self._count_hot(product)
        finally:
            self.hot.give_up(product)

    def _count_hot(self, product: int) -> Iterator[None]:
        postings, spoilt, until = self.postings, len(self._emptied), self._delta.end
        viewers = np.concatenate(
            (postings.viewers_of(product), self._delta.viewers_until(product, until))
        )
        yield
        both = np.zeros(self._product_count, np.int32)
        for start in range(0, viewers.size, SLICE_VIEWERS):
            some = viewers[start : start + SLICE_VIEWERS]
            for begin, end in slices(self._history_length[some], SLICE_VIEWS):
                if self.postings is not postings or len(self._emptied) != spoilt:
                    return
                np.add.at(both, self._all_viewed(some[begin:end], until), ONE)
                yield

        def scored(first: int, at: Longs) -> Scores:
            at = at + first
            return self._score(both[at], self.viewer_count(product), self._count[at])

        found, scores = np.empty(0, np.int64), np.empty(0)
        for first in range(0, both.size, SLICE_PRODUCTS):
            some, viewer_count = both[first : first + SLICE_PRODUCTS], self.viewer_count(product)
            floor = scores[-1] if scores.size == KEPT else 0.0
            at, alike = most_alike(some, viewer_count, partial(scored, first), KEPT, floor)
            found, scores = best(np.append(found, at + first), np.append(scores, alike), KEPT)
            yield
        found.sort()
        self.hot.finish(product, found, both[found])

    # --- compaction -------------------------------------------------------------------------------

    def cut(self) -> Cut:
        """What a compaction is to write; `replace` or `abandon` follows."""
        assert self._cut is None
        viewers, products = self._delta.pairs()
        high, low, number = self._numbering.ids()
        new = slice(self._ids_written, None)
        renamed = list(zip(*self._renamed, strict=True)) or ((), (), ())
        self._cut = Cut(
            until=self._delta.end,
            viewers=viewers,
            products=products,
            high=high[new].copy(),
            low=low[new].copy(),
            number=number[new].copy(),
            renamed_high=np.array(renamed[0], np.uint64),
            renamed_low=np.array(renamed[1], np.uint64),
            renamed_number=np.array(renamed[2], np.int32),
            emptied=np.array(self._emptied, np.int32),
            viewer_count=self._numbering.viewers,
            product_count=self._product_count,
        )
        return self._cut

    def replace(self, postings: Postings, row_length: Ints) -> None:
        """The cut is written: these are the postings with it, and the lengths of their rows."""
        cut, self._cut = self._cut, None
        assert cut is not None
        self.postings = postings
        self._delta.drop(cut.until)
        self._ids_written += cut.number.size
        self._renamed = self._renamed[cut.renamed_number.size :]
        self._emptied = self._emptied[cut.emptied.size :]
        self._row_length = roomy(row_length, self._history_length.size, 0)
        self._row_length[np.array(self._emptied, np.int32)] = 0

    def abandon(self) -> None:
        """The cut was not written: all goes on as before."""
        self._cut = None


def _earlier(ranked: Ints) -> tuple[Ints, Ints]:
    """Each place with every earlier one in its run of equals."""
    rank, place = ranks(ranked), np.arange(ranked.size, dtype=np.int32)
    return np.repeat(place, rank), gather(place, place - rank, rank)


def _key(viewer: UUID) -> tuple[Halves, Halves]:
    high, low = halves(viewer)
    return np.array([high], np.uint64), np.array([low], np.uint64)
