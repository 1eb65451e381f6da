"""A shop's views, drawn by chance: few products and viewers have most of them, and tastes differ.

A product's rank in popularity and its cluster are one number each away from its own, a viewer's
tastes and activity likewise: nothing has to be kept to draw more views of the same people later.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kefu.recommendations.views import VIEW, Packed

SKEW = 0.8
"""Views of a product ~ rank ** -SKEW, in the whole shop and in each cluster."""
TASTES = 3
OWN_TASTE = 0.6
"""Of the views: drawn from one of the viewer's tastes, not from the whole shop."""
AGAIN = 0.2
"""Of the views: of the product that was looked at just before."""
NEWCOMERS = 0.1
"""Of the fresh views: by somebody who had none."""
SPREAD = 1.1
"""Of activity, which is log-normal."""
MOST = 1_500
BLOCK = 200_000
Numbers = NDArray[np.int64]
Uniform = NDArray[np.float64]


class Size(NamedTuple):
    """How large a shop is: `views` as they come in, the repeated ones too."""

    products: int
    viewers: int
    views: int
    clusters: int
    tail: int


SIZES = {
    "quick": Size(2_000, 3_000, 50_000, 40, 20_000),
    "s": Size(20_000, 30_000, 500_000, 100, 100_000),
    "m": Size(200_000, 500_000, 10_000_000, 500, 1_000_000),
    "full": Size(1_000_000, 5_000_000, 100_000_000, 1_000, 5_000_000),
}


class Shop:
    """Draws views. The same seed draws the same."""

    def __init__(self, size: Size, seed: int) -> None:
        self.size, self._seed = size, seed
        self._chance = np.random.default_rng(seed)
        self._product = self._chance.permutation(size.products).astype(np.int32)
        self._until: Uniform | None = None

    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Viewers and products of all views before now, each pair once, in the order of time."""
        blocks = list(self._blocks())
        viewers = np.concatenate([each[0] for each in blocks])
        products = np.concatenate([each[1] for each in blocks])
        del blocks
        order = self._chance.permutation(viewers.size)
        return viewers[order], products[order]

    def fresh(self, count: int, seed: int) -> tuple[Numbers, NDArray[np.int32]]:
        """Viewers and products of so many views more, of old viewers and new ones, repeated ones
        and ones that are known."""
        chance = np.random.default_rng((self._seed, seed))
        if self._until is None:
            self._until = np.cumsum(self._activity(np.arange(self.size.viewers)), dtype=np.float64)
        viewers = np.searchsorted(self._until, chance.random(count) * self._until[-1])
        is_new = chance.random(count) < NEWCOMERS
        new = chance.integers(0, max(1, count // 20), int(is_new.sum()))
        viewers[is_new] = self.size.viewers + seed * 10_000_000 + new
        return viewers, self._drawn(viewers, chance)

    def asked(self, count: int, seed: int) -> list[int]:
        """Products as visitors come by them: as often as they are viewed."""
        return self.fresh(count, seed)[1].tolist()

    def _blocks(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        for first in range(0, self.size.viewers, BLOCK):
            block = np.arange(first, min(first + BLOCK, self.size.viewers))
            chance = np.random.default_rng((self._seed, 0, first))
            viewers = np.repeat(block, self._activity(block))
            products = self._drawn(viewers, chance)
            is_again = chance.random(viewers.size) < AGAIN
            is_again[np.flatnonzero(np.diff(viewers, prepend=-1))] = False
            source = np.where(is_again, 0, np.arange(viewers.size))
            products = products[np.maximum.accumulate(source)]
            once = np.unique(viewers * self.size.products + products)
            found, product = np.divmod(once, self.size.products)
            yield found.astype(np.int32), product.astype(np.int32)

    def _activity(self, viewers: Numbers) -> Numbers:
        """How many views they have."""
        normal = np.sqrt(-2 * np.log(1 - _chance_of(viewers, 1))) * np.cos(
            2 * np.pi * _chance_of(viewers, 2)
        )
        mean = self.size.views / self.size.viewers
        views = mean * np.exp(SPREAD * normal - SPREAD**2 / 2)
        return np.clip(views.astype(np.int64), 1, MOST)

    def _drawn(self, viewers: Numbers, chance: np.random.Generator) -> NDArray[np.int32]:
        """One product for each."""
        clusters = self.size.clusters
        taste = chance.integers(0, TASTES, viewers.size)
        cluster = (_chance_of(viewers * TASTES + taste, 3) ** 2 * clusters).astype(np.int64)
        inside = _ranks(chance.random(viewers.size), self.size.products // clusters)
        anywhere = _ranks(chance.random(viewers.size), self.size.products)
        is_own = chance.random(viewers.size) < OWN_TASTE
        return self._product[np.where(is_own, inside * clusters + cluster, anywhere)]


def ids(viewers: Numbers) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The viewers' UUIDs, in halves."""
    return _mixed(viewers, 11), _mixed(viewers, 12)


def packed(viewers: Numbers, products: NDArray[np.int32]) -> Packed:
    views = np.zeros(viewers.size, VIEW)
    views["viewer_hi"], views["viewer_lo"] = ids(viewers)
    views["product"] = products
    return views


def _ranks(chance: Uniform, count: int) -> Numbers:
    """Ranks from 0 on, by a power law: its integral turned round."""
    power = 1 - SKEW
    ranks: Numbers = ((1 + chance * ((count + 1) ** power - 1)) ** (1 / power)).astype(np.int64) - 1
    return np.minimum(ranks, count - 1)


def _chance_of(numbers: Numbers, salt: int) -> Uniform:
    """From 0 to 1, always the same for a number."""
    found: Uniform = (_mixed(numbers, salt) >> np.uint64(11)).astype(np.float64) / (1 << 53)
    return found


def _mixed(numbers: Numbers, salt: int) -> NDArray[np.uint64]:
    """splitmix64."""
    mixed = (numbers.astype(np.uint64) * np.uint64(32) + np.uint64(salt)) * np.uint64(
        0x9E3779B97F4A7C15
    )
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
