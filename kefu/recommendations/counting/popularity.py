"""What may be recommended at all, and what most people look at: for who has no history yet."""

import numpy as np

from kefu.recommendations.counting.rows import Flags, Ints, Longs, roomy


class Popularity:
    """By product. One the catalogue has not told of yet may be recommended: whoever shows it asks
    the catalogue again."""

    def __init__(self, count: Longs) -> None:
        self._count = count
        self.is_sellable: Flags = np.ones(count.size, np.bool_)
        self._category: Ints = np.full(count.size, -1, np.int32)

    def reach(self, count: Longs) -> None:
        """The viewers of each product: as many as there are products now."""
        self._count = count
        self.is_sellable = roomy(self.is_sellable, count.size, fill=True)
        self._category = roomy(self._category, count.size, -1)

    def set(self, numbers: Ints, sellable: Flags, categories: Ints) -> None:
        self.is_sellable[numbers] = sellable
        self._category[numbers] = categories

    def most_viewed(self, limit: int, category: int | None) -> list[int]:
        """Sellable ones that anybody has viewed; of equals the one with the lower number."""
        size = self._count.size
        if category is None:
            among = self._well_viewed(limit)
        else:
            among = np.flatnonzero(self._category[:size] == category)
        count = self._count[among]
        is_meant = self.is_sellable[among] & (count > 0)
        among, count = among[is_meant], count[is_meant]
        if among.size > limit:
            least = np.partition(count, among.size - limit)[among.size - limit]
            among, count = among[count >= least], count[count >= least]
        order = np.lexsort((among, -count))[:limit]
        found: list[int] = among[order].tolist()
        return found

    def _well_viewed(self, limit: int) -> Longs:
        """All that have so many viewers that there are enough of them: a look at the whole shop for
        each halving is a tenth of what sorting it would take."""
        least = int(self._count.max(initial=0))
        while True:
            among = np.flatnonzero(self._count >= max(1, least))
            if least <= 1 or np.count_nonzero(self.is_sellable[among]) >= limit:
                return among
            least //= 2
