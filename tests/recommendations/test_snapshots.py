"""Snapshots: what is written is what was there, whenever the process that writes is killed."""

import itertools
import os
import shutil
import signal
from pathlib import Path
from subprocess import CalledProcessError, Popen
from typing import Any
from uuid import UUID

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from kefu.recommendations import keeper as keeper_module
from kefu.recommendations import snapshots
from kefu.recommendations.counting.index import Index
from kefu.recommendations.keeper import Keeper, World
from kefu.recommendations.kept import Kept
from kefu.recommendations.messages import View
from kefu.recommendations.turns import Turns
from kefu.recommendations.views import packed
from kefu.settings import RecommendationSettings
from tests.fakes.clock import HandClock
from tests.until import until

VIEWERS = [UUID(int=(number + 1) << 65 | number) for number in range(40)]


def viewed(index: Index, seed: int, count: int = 200) -> None:
    chance = np.random.default_rng(seed)
    pairs = zip(chance.integers(0, 40, count), chance.integers(0, 30, count), strict=True)
    index.add(packed(View(VIEWERS[viewer], int(product), 1) for viewer, product in pairs))


def told_by(index: Index) -> list[object]:
    """All that it says to the outside."""
    return [
        [index.neighbours(product, 10) for product in range(30)],
        [sorted(index.history(viewer, 50)) for viewer in VIEWERS],
        [index.viewer_count(product) for product in range(30)],
    ]


class Unheard:
    async def note_snapshot(self, name: str, positions: object) -> None: ...


class House:
    """A keeper with its index; `positions` go up with each compaction."""

    def __init__(self, folder: Path, index: Index | None = None) -> None:
        self.folder, self.index, self.clock = folder, index or Index(), HandClock()
        self.positions = {"views:0": "1-0"}
        self.told: list[dict[str, str]] = []
        world = World(folder, self.clock, lambda: self.positions, self.hear, 600.0, Turns())
        self.keeper = Keeper(self.index, world)

    async def hear(self, positions: object) -> None:
        self.told.append(dict(positions))


def reopened(folder: Path) -> Index:
    found = snapshots.latest(folder)
    assert found is not None
    return Index(found.postings, found.numbering())


async def test_what_is_opened_again_says_what_was_said_before(tmp_path: Path) -> None:
    house = House(tmp_path)
    viewed(house.index, 1)
    house.index.join(VIEWERS[0], VIEWERS[1])
    assert await house.keeper.compact()
    assert told_by(reopened(tmp_path)) == told_by(house.index)
    viewed(house.index, 2)
    house.index.join(VIEWERS[2], VIEWERS[1])
    house.positions = {"views:0": "2-0"}
    assert await house.keeper.compact()
    assert told_by(reopened(tmp_path)) == told_by(house.index)
    assert house.told == [{"views:0": "1-0"}, {"views:0": "2-0"}]
    found = snapshots.latest(tmp_path)
    assert found is not None
    assert found.positions == house.positions


async def test_what_is_viewed_while_it_is_written_is_not_lost(tmp_path: Path) -> None:
    house, same = House(tmp_path), Index()
    viewed(house.index, 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(house.keeper.compact)
        await anyio.lowlevel.checkpoint()
        viewed(house.index, 2)
    for seed in (1, 2):
        viewed(same, seed)
    assert house.index.delta_size
    assert told_by(house.index) == told_by(same)


async def test_a_compaction_that_fails_changes_nothing_and_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    viewed(house.index, 1)
    before = told_by(house.index)

    async def killed(plan: Path) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(keeper_module, "_carry_out", killed)
        assert not await house.keeper.compact()
    assert (told_by(house.index), house.keeper.failures) == (before, 1)
    assert snapshots.latest(tmp_path) is None
    assert await house.keeper.compact()
    assert told_by(house.index) == before


async def test_a_compaction_that_is_given_up_takes_its_process_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "plan.json")  # nobody writes into it: it would be read for ever
    begun: list[Popen[bytes]] = []

    def begin(*args: Any, **more: Any) -> Popen[bytes]:
        begun.append(Popen(*args, **more))
        return begun[-1]

    monkeypatch.setattr(keeper_module, "Popen", begin)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeper_module._carry_out, tmp_path)
        await until(lambda: bool(begun))
        tasks.cancel_scope.cancel()
    assert begun[0].returncode == -signal.SIGKILL


class Killed(BaseException):
    """The process that writes ends, wherever it is."""


def kill_at(step: int, patched: pytest.MonkeyPatch) -> None:
    """At the so-manyth thing that is done to the disk."""
    calls = itertools.count()

    def dying(original: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            if next(calls) == step:
                raise Killed
            return original(*args, **more)

        return call

    written = ((os, "fsync"), (np.memmap, "flush"), (Path, "rename"), (shutil, "rmtree"))
    for owner, name in written:
        patched.setattr(owner, name, dying(getattr(owner, name)))


async def test_whenever_the_writing_process_is_killed_a_whole_snapshot_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, step = House(tmp_path), 0

    async def killed(plan: Path) -> None:
        with monkeypatch.context() as patched:
            kill_at(step, patched)
            try:
                snapshots.carry_out(plan)
            except Killed:
                raise CalledProcessError(-9, "compact") from None

    viewed(house.index, 1)
    assert await house.keeper.compact()
    monkeypatch.setattr(keeper_module, "_carry_out", killed)
    kept, outcomes = told_by(house.index), []
    for step in range(28):
        viewed(house.index, 2 + step, 20)
        outcomes.append(await house.keeper.compact())
        kept = told_by(house.index) if outcomes[-1] else kept
        assert told_by(reopened(tmp_path)) == kept
    assert set(outcomes[:12]) == {False}
    assert outcomes[-1]


async def test_what_failed_is_not_tried_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    viewed(house.index, 1)
    monkeypatch.setattr(keeper_module, "DELTA_PAIRS", (1, 1))
    assert house.keeper._is_due()
    (tmp_path / "plan-00000001").write_text("in the way")
    assert not await house.keeper.compact()
    assert not house.keeper._is_due()
    house.clock.advance(keeper_module.FAILED_AGAIN_S)
    assert house.keeper._is_due()


async def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    house = House(tmp_path)
    viewed(house.index, 1)
    await house.keeper.compact()
    before = told_by(house.index)
    viewed(house.index, 2)
    await house.keeper.compact()
    newest = snapshots.latest(tmp_path)
    assert newest is not None
    (newest.path / "viewers.npy").write_bytes(b"rubbish")
    assert told_by(reopened(tmp_path)) == before


async def test_only_the_last_two_are_kept_and_nothing_half_made(tmp_path: Path) -> None:
    house = House(tmp_path)
    for seed in range(4):
        viewed(house.index, seed)
        await house.keeper.compact()
    left = sorted([path.name async for path in anyio.Path(tmp_path).iterdir()])
    assert left == ["snapshot-00000003", "snapshot-00000004"]


async def test_an_index_without_views_can_be_kept_too(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert await house.keeper.compact()
    assert len(reopened(tmp_path)) == 0


async def test_two_instances_of_one_disk_have_a_place_each_and_begin_with_the_newest(
    tmp_path: Path,
) -> None:
    first, second = (
        Kept(tmp_path, "here", RecommendationSettings(), Unheard(), HandClock()) for _ in range(2)
    )
    index, positions = await first.load()
    assert positions == {}
    viewed(index, 1)
    await first.keeper(index, {"views:1": "7-0"}, Turns()).compact()
    again, positions = await second.load()
    assert positions == {"views:1": "7-0"}
    assert told_by(again) == told_by(index)
    assert snapshots.latest(tmp_path / "001") is not None


async def test_only_its_owner_may_look_into_the_snapshots(tmp_path: Path) -> None:
    folder = tmp_path / "views"
    await Kept(folder, "here", RecommendationSettings(), Unheard(), HandClock()).load()
    assert folder.stat().st_mode & 0o777 == 0o700
