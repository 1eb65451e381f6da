"""From counts to an order: how alike two products are, and which are the most alike.

similarity(X, Y) = |viewers(X) and viewers(Y)| / sqrt(|viewers(X)| * |viewers(Y)|), the cosine of
two columns of zeros and ones.
"""

from collections.abc import Callable
from math import sqrt
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kefu.recommendations.counting.rows import Ints, Longs, is_begun

Scores: TypeAlias = NDArray[np.float64]
Score: TypeAlias = Callable[[Ints | Longs, int, Longs], Scores]
"""Of how many viewed both, how many the one, and how many the others."""
ScorerName = Literal["cosine", "shrunk"]
SHRINKAGE: Final = 10.0


def cosine(both: Ints | Longs, viewers: int, others: Longs) -> Scores:
    scores: Scores = both / np.sqrt(viewers * others)
    return scores


def shrunk(both: Ints | Longs, viewers: int, others: Longs) -> Scores:
    """A few viewers in common say less than many: the cosine times c / (c + 10)."""
    return cosine(both, viewers, others) * (both / (both + SHRINKAGE))


SCORERS: Final[dict[ScorerName, Score]] = {"cosine": cosine, "shrunk": shrunk}


def counted(items: Ints) -> tuple[Ints, Longs]:
    """The different ones, rising, and how often each is there. Sorts `items` in place."""
    items.sort()
    first = np.flatnonzero(is_begun(items))
    return items[first], np.diff(first, append=items.size)


def most_alike(
    both: Ints | Longs,
    viewers: int,
    scored: Callable[[Longs], Scores],
    limit: int,
    floor: float = 0.0,
) -> tuple[Longs, Scores]:
    """Places in `both` with the highest scores above 0; what is not above `floor` may be left out.

    No score is above sqrt(both / viewers). So those with the most viewers in common are looked at
    first, and more only while one of them may still be among the best: most have one in common.
    """
    some, least = np.flatnonzero(both > 1), int(both.max(initial=1))
    while least > 2:
        least = max(2, least // 4)
        at = some[both[some] >= least]
        at, scores = best(at, scored(at), limit)
        enough = scores[-1] if at.size == limit else 0.0
        if max(enough, floor) > sqrt((least - 1) / viewers):
            return _alike(at, scores)
    at = np.flatnonzero(both > 0)
    return _alike(*best(at, scored(at), limit))


def _alike(at: Longs, scores: Scores) -> tuple[Longs, Scores]:
    is_alike = scores > 0
    return at[is_alike], scores[is_alike]


def best(products: Longs, scores: Scores, limit: int) -> tuple[Longs, Scores]:
    """The highest first; of equals the one with the lower number."""
    if products.size > limit:
        least = np.partition(scores, products.size - limit)[products.size - limit]
        is_near = scores >= least
        products, scores = products[is_near], scores[is_near]
    order = np.lexsort((products, -scores))[:limit]
    return products[order], scores[order]
