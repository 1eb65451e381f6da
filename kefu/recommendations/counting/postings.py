"""The large part of the index: who viewed what, both ways, in flat arrays that never change.

They are mapped from a snapshot's files, so that opening them costs nothing and the memory they take
is the system's to give back.
"""

import numpy as np
from msgspec import Struct

from kefu.recommendations.counting.rows import NO_INTS, Ints, Longs


class Postings(Struct, frozen=True):
    """Row v of `products` lies from `product_start[v]` to `product_start[v + 1]`: what viewer v
    viewed, the first first; rows of `viewers` likewise: who viewed a product."""

    product_start: Longs
    products: Ints
    viewer_start: Longs
    viewers: Ints

    @property
    def viewer_count(self) -> int:
        return self.product_start.size - 1

    @property
    def product_count(self) -> int:
        return self.viewer_start.size - 1

    def __len__(self) -> int:
        return self.products.size

    def viewers_of(self, product: int) -> Ints:
        if product >= self.product_count:
            return NO_INTS
        return self.viewers[self.viewer_start[product] : self.viewer_start[product + 1]]

    def starts(self, viewers: Ints) -> Longs:
        """Where their rows begin; those beyond have none, wherever it is."""
        return self.product_start[np.minimum(viewers, self.viewer_count)]


def no_postings() -> Postings:
    start = np.zeros(1, np.int64)
    return Postings(start, NO_INTS, start, NO_INTS)
