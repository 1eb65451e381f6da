"""Viewers' ids and the small numbers arrays are indexed by: an open-addressing table of arrays.

A dict of five million ids would take a gigabyte. Several ids may have the same number: a guest who
signed in is the customer. Such an id is settled: it stays with that customer, whoever signs in next
where the guest was. The numbers of settled ids are kept below -1.
"""

import itertools
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kefu.recommendations.counting.rows import Ints, Longs, roomy, with_room

Halves: TypeAlias = NDArray[np.uint64]
_ROOM: Final = 3
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_FOLD: Final = np.uint64(32)
_LEAST: Final = 32_768
_MUCH: Final = 1_000_000


def settled(number: int) -> int:
    """As the number of a settled id is kept."""
    return -2 - number


def _plain(kept: Ints) -> Ints:
    return np.where(kept < -1, -2 - kept, kept)


class Numbering:
    """Ids are given in halves of 64 bits. `size` ids are known, of `viewers` numbers."""

    def __init__(self, high: Halves, low: Halves, number: Ints) -> None:
        self.size = number.size
        self.viewers = int(_plain(number).max()) + 1 if number.size else 0
        self._high, self._low, self._number = with_room(high), with_room(low), with_room(number)
        self._tables = [_table_for(self.size)]
        self._room = self._tables[0].size // 2
        self._enter(np.arange(self.size, dtype=np.int32))

    def find(self, high: Halves, low: Halves) -> Ints:
        """Their numbers, -1 for those that are not known."""
        entries = self._entries(high, low)
        return np.where(entries >= 0, _plain(self._number[entries]), np.int32(-1))

    def is_settled(self, high: Halves, low: Halves) -> bool:
        """Whether this one id is."""
        (entry,) = self._entries(high, low)
        return bool(entry >= 0 and self._number[entry] < -1)

    def assign(self, high: Halves, low: Halves) -> Ints:
        """Their numbers; whoever is new gets the next one."""
        found = self.find(high, low)
        is_new = found < 0
        if is_new.any():
            ids = list(zip(high[is_new].tolist(), low[is_new].tolist(), strict=True))
            distinct = list(dict.fromkeys(ids))
            numbers = dict(zip(distinct, itertools.count(self.viewers), strict=False))
            halves = np.array(distinct, np.uint64)
            self.add(halves[:, 0], halves[:, 1], np.array(list(numbers.values()), np.int32))
            found[is_new] = [numbers[each] for each in ids]
        return found

    def add(self, high: Halves, low: Halves, number: Ints) -> None:
        """Ids that are not known, each once, under these numbers, as they are kept."""
        first, size = self.size, self.size + number.size
        for name, new in (("_high", high), ("_low", low), ("_number", number)):
            array = roomy(getattr(self, name), size, 0)
            array[first:size] = new
            setattr(self, name, array)
        self.size = size
        self.viewers = max(self.viewers, int(_plain(number).max(initial=-1)) + 1)
        self._enter(np.arange(first, size, dtype=np.int32))

    def rename(self, high: Halves, low: Halves, number: int) -> None:
        """Known ids have this number from now on, as it is kept."""
        self._number[self._entries(high, low)] = number

    def sharing(self, number: int) -> tuple[Halves, Halves]:
        """All ids that have this number, settled or not: a look at every one."""
        kept = self._number[: self.size]
        entries = np.flatnonzero((kept == number) | (kept == settled(number)))
        return self._high[entries], self._low[entries]

    def ids(self) -> tuple[Halves, Halves, Ints]:
        """All of them, as they are given to a new numbering."""
        return self._high[: self.size], self._low[: self.size], self._number[: self.size]

    def _entries(self, high: Halves, low: Halves) -> Ints:
        """Where in the arrays the ids are, -1 for none."""
        found = np.full(high.size, -1, np.int32)
        looking = np.arange(high.size)
        for table in self._tables:
            self._look(table, high, low, looking, found)
            looking = np.flatnonzero(found < 0) if len(self._tables) > 1 else looking
        return found

    def _look(self, table: Ints, high: Halves, low: Halves, looking: Longs, found: Ints) -> None:
        slots = _slots(table, high, low)
        while looking.size:
            entries = table[slots[looking]] - 1
            is_taken = entries >= 0
            looking, entries = looking[is_taken], entries[is_taken]
            is_it = (self._high[entries] == high[looking]) & (self._low[entries] == low[looking])
            found[looking[is_it]] = entries[is_it]
            looking = looking[~is_it]
            slots[looking] = (slots[looking] + 1) & (table.size - 1)

    def _enter(self, entries: Ints) -> None:
        """Each at the first free slot from its own on; who loses a slot to another goes on.

        Where a table is half full the next begins: to make a larger one of it takes seconds."""
        if self.size > self._room:
            self._tables.append(_table_for(max(self.size, min(self.size * 8, _MUCH))))
            self._room += self._tables[-1].size // 2
        table = self._tables[-1]
        slots = _slots(table, self._high[entries], self._low[entries])
        waiting = np.arange(entries.size)
        while waiting.size:
            at = slots[waiting]
            is_free = table[at] == 0
            table[at[is_free]] = entries[waiting[is_free]] + 1
            waiting = waiting[table[at] != entries[waiting] + 1]
            slots[waiting] = (slots[waiting] + 1) & (table.size - 1)


def _table_for(size: int) -> Ints:
    """Of entries, counted from 1: zeros take no time to make."""
    return np.zeros(1 << max(_LEAST, size * _ROOM).bit_length(), np.int32)


def _slots(table: Ints, high: Halves, low: Halves) -> Longs:
    mixed = (high ^ (low * _MIX)) * _MIX
    return ((mixed ^ (mixed >> _FOLD)) & np.uint64(table.size - 1)).astype(np.int64)
