"""New postings from old ones and what was viewed since. Pure arrays; snapshots.py has the files.

It is done block by block in a process of its own (`compact.py`): in a thread, numpy's long calls
would hold up the event loop, and with it every chat.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from kefu.recommendations.counting.numbering import Halves
from kefu.recommendations.counting.postings import Postings
from kefu.recommendations.counting.rows import Flags, Ints, Longs

BLOCK_ITEMS: Final = 1_000_000
Allocate: TypeAlias = Callable[[str, int, Any], NDArray[Any]]
"""A new array for a name, of a size and a type: in memory or in a file."""
Settle: TypeAlias = Callable[[NDArray[Any]], object]
"""What was written into the array so far may go to the disk."""


class Cut(Struct, frozen=True):
    """What came since the postings were made, and up to where.

    `viewers` and `products` are pairs in their order. `high`, `low`, `number` are the ids that are
    new, `renamed_*` the known ones with another number, `emptied` the viewers without a row now.
    """

    until: int
    viewers: Ints
    products: Ints
    high: Halves
    low: Halves
    number: Ints
    renamed_high: Halves
    renamed_low: Halves
    renamed_number: Ints
    emptied: Ints
    viewer_count: int
    product_count: int


def in_memory(_name: str, size: int, dtype: Any) -> NDArray[Any]:
    return np.zeros(size, dtype)


def in_no_file(_array: NDArray[Any]) -> None:
    pass


def compacted(
    old: Postings, cut: Cut, allocate: Allocate = in_memory, settle: Settle = in_no_file
) -> Postings:
    """The same pairs in longer rows; those of emptied viewers are gone."""
    is_alive = np.ones(max(old.viewer_count, cut.viewer_count), np.bool_)
    is_alive[cut.emptied] = False
    start, items = merged(
        old.product_start,
        old.products,
        lambda rows, _items: is_alive[rows],
        (cut.viewers, cut.products),
        cut.viewer_count,
        lambda name, size, dtype: allocate(f"product{name}", size, dtype),
        settle,
    )
    viewer_start, viewers = merged(
        old.viewer_start,
        old.viewers,
        lambda _rows, items: is_alive[items],
        (cut.products, cut.viewers),
        cut.product_count,
        lambda name, size, dtype: allocate(f"viewer{name}", size, dtype),
        settle,
    )
    return Postings(start, items, viewer_start, viewers)


def merged(
    old_start: Longs,
    old_items: Ints,
    stays: Callable[[Ints, Ints], Flags],
    added: tuple[Ints, Ints],
    row_count: int,
    allocate: Allocate,
    settle: Settle,
) -> tuple[Longs, Ints]:
    """The old rows without what does not stay, each with what was added to it behind."""
    order = np.argsort(added[0], kind="stable")
    new_rows, new_items = added[0][order], added[1][order]
    start = allocate("_start", row_count + 1, np.int64)
    blocks = _blocks(old_start, row_count)
    for first, last in blocks:
        rows, items = _old_block(old_start, old_items, first, last)
        kept = np.bincount(rows[stays(rows, items)] - first, minlength=last - first)
        low, high = np.searchsorted(new_rows, (first, last))
        new = np.bincount(new_rows[low:high] - first, minlength=last - first)
        start[first + 1 : last + 1] = kept + new
    np.cumsum(start, out=start)
    settle(start)
    merged_items = allocate("s", int(start[-1]), np.int32)
    for first, last in blocks:
        rows, items = _old_block(old_start, old_items, first, last)
        is_kept = stays(rows, items)
        low, high = np.searchsorted(new_rows, (first, last))
        all_rows = np.concatenate((rows[is_kept], new_rows[low:high]))
        all_items = np.concatenate((items[is_kept], new_items[low:high]))
        place = np.argsort(all_rows, kind="stable")
        merged_items[start[first] : start[last]] = all_items[place]
        settle(merged_items)
    return start, merged_items


def _old_block(start: Longs, items: Ints, first: int, last: int) -> tuple[Ints, Ints]:
    """The old items of rows `first` to `last`, and in which rows they are."""
    until = min(last, start.size - 1)
    if first >= until:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    length = np.diff(start[first : until + 1])
    rows = np.repeat(np.arange(first, until, dtype=np.int32), length)
    return rows, np.asarray(items[start[first] : start[until]])


def _blocks(start: Longs, row_count: int) -> list[tuple[int, int]]:
    """Rows to take at once: as many as have about so many items, and never too many."""
    total = int(start[-1])
    edges = np.searchsorted(start, np.arange(0, total, BLOCK_ITEMS))
    bounds = np.unique(
        np.concatenate((edges, np.arange(0, row_count, BLOCK_ITEMS), [0, row_count]))
    )
    bounds = bounds[bounds <= row_count]
    return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
