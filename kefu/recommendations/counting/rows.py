"""Rows of different lengths that lie one behind the other in a flat array."""

import itertools
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)
NO_INTS: Final[Ints] = np.empty(0, np.int32)


def gather(items: Ints, start: Longs, length: Ints) -> Ints:
    """Those rows, one behind the other."""
    ends = np.cumsum(length, dtype=np.int64)
    total = int(ends[-1]) if ends.size else 0
    if not total:
        return NO_INTS
    where = np.arange(total)
    where += np.repeat(start - (ends - length), length)
    return items[where]


def is_begun(ranked: NDArray[Any]) -> Flags:
    """Of equals that stand together: whether it is the first of them."""
    flags = np.empty(ranked.size, np.bool_)
    flags[:1] = True
    np.not_equal(ranked[1:], ranked[:-1], out=flags[1:])
    return flags


def ranks(ranked: Ints) -> Ints:
    """Of equals that stand together: how many of them stand before it."""
    place = np.arange(ranked.size, dtype=np.int32)
    return place - np.maximum.accumulate(np.where(is_begun(ranked), place, 0))


def slices(length: Ints, most: int) -> list[tuple[int, int]]:
    """From where to where to take rows so that no part has many more than `most` items."""
    total = np.cumsum(length, dtype=np.int64)
    if not total.size:
        return []
    edges = np.searchsorted(total, np.arange(most, int(total[-1]) + most, most), side="left") + 1
    bounds = [0, *np.unique(np.minimum(edges, total.size)).tolist()]
    if bounds[-1] < total.size:
        bounds.append(total.size)
    return list(itertools.pairwise(bounds))


def roomy(array: NDArray[T], size: int, fill: Any) -> NDArray[T]:
    """The array, or a copy with room for `size` and as many again, filled up.

    Zeros take no memory, and no time, before something is written in their place.
    """
    if array.size >= size:
        return array
    room = 2 * size + 64
    larger = np.full(room, fill, array.dtype) if fill else np.zeros(room, array.dtype)
    larger[: array.size] = array
    return larger


def with_room(array: NDArray[T]) -> NDArray[T]:
    """With zeros behind: so that what is large is not copied when the first new one comes."""
    return roomy(array, array.size + 1, 0)
