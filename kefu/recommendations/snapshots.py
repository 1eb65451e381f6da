"""Snapshots of the index on disk: the postings as they are mapped, the ids, and up to where in the
logs it all goes.

A snapshot is a directory that appears whole, by a rename, or not at all. Its large files are never
read: they are mapped, by whoever has the index and by whoever makes the next snapshot of it.
"""

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from kefu.recommendations.counting.compaction import Cut, compacted
from kefu.recommendations.counting.numbering import Halves, Numbering
from kefu.recommendations.counting.postings import Postings, no_postings
from kefu.recommendations.counting.rows import Ints

KEPT: Final = 2
IDS_AT_ONCE: Final = 500_000
_NAME: Final = re.compile(r"snapshot-(\d{8})")
_PLAN: Final = "plan.json"
_TOLD: Final = "snapshot.json"
_IDS: Final = ("id_high", "id_low", "id_number")
Ids = tuple[Halves, Halves, Ints]


class Told(Struct, frozen=True):
    """What a snapshot says of itself. `positions` are the last entries it has, by log."""

    positions: dict[str, str]
    pairs: int
    viewers: int


class Plan(Struct, frozen=True):
    """A snapshot that is to be made: from which, into which, with what in the plan's directory."""

    old: str | None
    new: str
    until: int
    viewer_count: int
    product_count: int
    positions: dict[str, str]


class Snapshot(Struct, frozen=True):
    """An open one."""

    path: Path
    told: Told
    postings: Postings

    @property
    def positions(self) -> Mapping[str, str]:
        return self.told.positions

    def numbering(self) -> Numbering:
        """Read whole, and made ready: seconds for millions of viewers."""
        high, low, number = (np.load(_file(self.path, name)) for name in _IDS)
        return Numbering(high, low, number)

    def row_length(self, room: int) -> Ints:
        """How long the viewers' rows are, with room for so many."""
        length = np.zeros(max(room, self.postings.viewer_count), np.int32)
        start = self.postings.product_start
        for first in range(0, self.postings.viewer_count, 100_000):
            part = np.diff(start[first : first + 100_001])
            length[first : first + part.size] = part
        return length


def latest(folder: Path) -> Snapshot | None:
    """The newest snapshot that can be opened, if there is any."""
    for path in reversed(_all(folder)):
        try:
            return opened(path)
        except (OSError, ValueError, msgspec.MsgspecError):
            continue
    return None


def newest(folders: Iterable[Path]) -> Snapshot | None:
    """The newest of several folders' latest snapshots."""
    found = [each for each in map(latest, folders) if each is not None]
    return max(found, key=lambda each: each.path.stat().st_mtime_ns, default=None)


def adopted(snapshot: Snapshot, folder: Path) -> Snapshot:
    """A snapshot of another folder of the same disk, in this one too: its files never change, so
    that they need not be copied."""
    number = _next_number(folder)
    partial, new = folder / f"partial-{number:08}", folder / f"snapshot-{number:08}"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(snapshot.path, partial, copy_function=os.link)
    partial.rename(new)
    return opened(new)


def opened(path: Path) -> Snapshot:
    """Raises OSError, ValueError or MsgspecError for what is no snapshot, or a broken one."""
    told = msgspec.json.decode((path / _TOLD).read_bytes(), type=Told)
    start, products, viewer_start, viewers = (
        np.asarray(np.load(_file(path, name), mmap_mode="r" if told.pairs else None))
        for name in ("product_start", "products", "viewer_start", "viewers")
    )
    if not products.size == viewers.size == start[-1] == viewer_start[-1] == told.pairs:
        raise ValueError(f"{path} is not whole")
    return Snapshot(path, told, Postings(start, products, viewer_start, viewers))


def save_plan(folder: Path, old: Snapshot | None, cut: Cut, positions: Mapping[str, str]) -> Path:
    """Write down what a process of its own is to make of it: the plan's directory."""
    folder.mkdir(parents=True, exist_ok=True)
    number = _next_number(folder)
    plan = folder / f"plan-{number:08}"
    shutil.rmtree(plan, ignore_errors=True)
    plan.mkdir()
    for name in _arrays():
        np.save(_file(plan, name), getattr(cut, name))
    told = Plan(
        old=None if old is None else str(old.path),
        new=str(folder / f"snapshot-{number:08}"),
        until=cut.until,
        viewer_count=cut.viewer_count,
        product_count=cut.product_count,
        positions=dict(positions),
    )
    (plan / _PLAN).write_bytes(msgspec.json.encode(told))
    return plan


def made(directory: Path) -> Snapshot:
    """What the plan of that directory has become, whatever else became of its process.

    Raises as `opened` when it came to nothing.
    """
    return opened(directory.with_name(directory.name.replace("plan", "snapshot")))


def carry_out(directory: Path) -> Path:
    """Make the snapshot that is planned, and remove the plan: where the snapshot is.

    Of the older ones the last stays, in case this one is damaged.
    """
    plan = msgspec.json.decode((directory / _PLAN).read_bytes(), type=Plan)
    old = None if plan.old is None else opened(Path(plan.old))
    arrays = {name: np.load(_file(directory, name)) for name in _arrays()}
    cut = Cut(
        until=plan.until,
        viewer_count=plan.viewer_count,
        product_count=plan.product_count,
        **arrays,
    )
    new = Path(plan.new)
    partial = new.with_name(f"partial-{new.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    _write(partial, old, cut, plan.positions)
    partial.rename(new)
    _sync(new.parent)
    shutil.rmtree(directory)
    for each in _all(new.parent)[:-KEPT]:
        shutil.rmtree(each)
    return new


def _write(folder: Path, old: Snapshot | None, cut: Cut, positions: dict[str, str]) -> None:
    def in_file(name: str, size: int, dtype: Any) -> NDArray[Any]:
        if not size:  # an empty file cannot be mapped
            np.save(_file(folder, name), np.empty(0, dtype))
            return np.empty(0, dtype)
        array: NDArray[Any] = open_memmap(_file(folder, name), "w+", dtype, (size,))
        return array

    before = no_postings() if old is None else old.postings
    postings = compacted(before, cut, in_file, _settle)
    high, low, number = _all_ids(old, cut)
    ids: dict[str, NDArray[Any]] = {"id_high": high, "id_low": low, "id_number": number}
    for name, array in ids.items():
        into = in_file(name, array.size, array.dtype)
        for start in range(0, array.size, IDS_AT_ONCE):
            into[start : start + IDS_AT_ONCE] = array[start : start + IDS_AT_ONCE]
            _settle(into)
    told = Told(positions, len(postings), postings.viewer_count)
    (folder / _TOLD).write_bytes(msgspec.json.encode(told))
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _settle(array: NDArray[Any]) -> None:
    """On the disk, a few megabytes at a time: whoever commits to the same disk meanwhile, and that
    is every message of a chat, would have to wait for all of them."""
    if isinstance(array, np.memmap):
        array.flush()


def _all_ids(old: Snapshot | None, cut: Cut) -> Ids:
    """Of the old snapshot and of the cut, with the numbers they have now."""
    high, low, number = cut.high, cut.low, cut.number
    if old is not None:
        before = [np.load(_file(old.path, name)) for name in _IDS]
        high, low = np.concatenate((before[0], high)), np.concatenate((before[1], low))
        number = np.concatenate((before[2], number))
    numbering = Numbering(high, low, number)
    for place in range(cut.renamed_number.size):
        one = slice(place, place + 1)
        numbering.rename(cut.renamed_high[one], cut.renamed_low[one], cut.renamed_number[place])
    return numbering.ids()


def _arrays() -> list[str]:
    counts = {"until", "viewer_count", "product_count"}
    return [name for name in Cut.__struct_fields__ if name not in counts]


def _all(folder: Path) -> list[Path]:
    """The oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _next_number(folder: Path) -> int:
    found = _all(folder)
    return int(found[-1].name.removeprefix("snapshot-")) + 1 if found else 1


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
