"""What goes with several products at once. The latest counts most, each earlier one half as much.

Products are told by their numbers here; nothing is said of whether they can be bought.
"""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

DECAY: Final = 0.5


class Blended(Struct, frozen=True):
    """A product that goes with those viewed; `because` is the one it owes most to."""

    product: int
    score: float
    because: int


def blended(
    viewed: Sequence[tuple[int, Sequence[tuple[int, float]]]], seen: Collection[int]
) -> list[Blended]:
    """`viewed` are products, the latest first, with what goes with each. The best first, without
    what was seen; of equals the lower number. A score is at most 1: that of what goes with all."""
    whole = sum(DECAY**age for age in range(len(viewed)))
    scores: dict[int, float] = {}
    largest: dict[int, tuple[float, int]] = {}
    for age, (product, neighbours) in enumerate(viewed):
        for neighbour, score in neighbours:
            if neighbour in seen:
                continue
            share = score * DECAY**age / whole
            scores[neighbour] = scores.get(neighbour, 0.0) + share
            if share > largest.get(neighbour, (-1.0, 0))[0]:
                largest[neighbour] = share, product
    best = sorted(scores, key=lambda product: (-scores[product], product))
    return [Blended(product, scores[product], largest[product][1]) for product in best]
