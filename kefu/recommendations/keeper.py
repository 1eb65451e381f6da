"""Keeps the index in shape beside the answers: compacts it into snapshots, counts the hot products.

Nothing here holds the event loop for more than a few milliseconds: what is long is done in another
process, or in steps with a pause behind each that is longer than the step.
"""

import logging
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, Popen, TimeoutExpired
from typing import Final

import anyio
from anyio import to_thread
from msgspec import Struct

from kefu.clock import Clock
from kefu.recommendations import snapshots
from kefu.recommendations.counting.index import Index
from kefu.recommendations.snapshots import Snapshot
from kefu.recommendations.turns import Turns

LOOK_EVERY_S: Final = 1.0
PAUSE_PER_STEP: Final = 2.0
"""For the time of a step and of the wait for its turn: counting takes a third of the loop at most,
and less the more others have to do."""
COUNT_AGAIN_S: Final = 20.0
COMPACT_WITHIN_S: Final = 600.0
GONE_WITHIN_S: Final = 5.0
FAILED_AGAIN_S: Final = 60.0
DELTA_PAIRS: Final = (100_000, 1_000_000)
"""A compaction begins with a delta of a twentieth of the postings, between these bounds."""
DONE: Final = object()
log = logging.getLogger("kefu.recommendations")


class World(Struct, frozen=True):
    """`positions` says up to where in the logs the index goes, `on_snapshot` is told up to where a
    snapshot does. One is made every `period_s` if anything has changed."""

    folder: Path
    clock: Clock
    positions: Callable[[], Mapping[str, str]]
    on_snapshot: Callable[[Mapping[str, str]], Awaitable[None]]
    period_s: float
    turns: Turns


class Keeper:
    def __init__(self, index: Index, world: World, snapshot: Snapshot | None = None) -> None:
        self._index, self._world, self._snapshot = index, world, snapshot
        self._compacted_at = world.clock.monotonic()
        self._counted_at: dict[int, float] = {}
        self._has_failed = False
        self.compactions = self.failures = 0

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_compacting)
            tasks.start_soon(self._keep_counting)

    async def compact(self) -> bool:
        """Make a snapshot of all there is, and stand on it. False when that failed: all goes on as
        it was, and it is tried again."""
        index, self._compacted_at = self._index, self._world.clock.monotonic()
        positions = dict(self._world.positions())
        cut = index.cut()
        try:
            plan = await to_thread.run_sync(
                snapshots.save_plan, self._world.folder, self._snapshot, cut, positions
            )
            found = await _made(plan)
            length = await to_thread.run_sync(found.row_length, index.viewer_room)
        except Exception:
            index.abandon()
            self.failures, self._has_failed = self.failures + 1, True
            log.exception("recommendations_not_compacted")
            return False
        except BaseException:
            index.abandon()
            raise
        index.replace(found.postings, length)
        self._snapshot, self._has_failed = found, False
        self.compactions += 1
        await self._world.on_snapshot(positions)
        return True

    async def _keep_compacting(self) -> None:
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            if self._is_due():
                await self.compact()

    def _is_due(self) -> bool:
        """After a failure not at once: a full disk stays full for a while."""
        size, least_most = self._index.delta_size, DELTA_PAIRS
        waited_s = self._world.clock.monotonic() - self._compacted_at
        if self._has_failed and waited_s < FAILED_AGAIN_S:
            return False
        if size >= min(max(len(self._index) // 20, least_most[0]), least_most[1]):
            return True
        return waited_s >= self._world.period_s and size > 0

    async def _keep_counting(self) -> None:
        await self._in_steps(self._index.watch_heavy())
        while True:
            product = self._next()
            if product is None:
                await anyio.sleep(LOOK_EVERY_S)
                continue
            self._counted_at[product] = self._world.clock.monotonic()
            await self._in_steps(self._index.count_hot(product))

    def _next(self) -> int | None:
        """Whichever waits the longest, if it has waited long."""
        product = self._index.hot.next()
        if product is None:
            return None
        waited_s = self._world.clock.monotonic() - self._counted_at.get(product, -inf)
        return product if waited_s >= COUNT_AGAIN_S else None

    async def _in_steps(self, work: Iterator[None]) -> None:
        monotonic = self._world.clock.monotonic
        while True:
            began = monotonic()
            async with self._world.turns.working():
                if next(work, DONE) is DONE:
                    return
            await anyio.sleep((monotonic() - began) * PAUSE_PER_STEP)


async def _made(plan: Path) -> Snapshot:
    """Where the process is killed behind its last step the snapshot is there all the same.

    Raises OSError, or what `snapshots.opened` raises, when it is not.
    """
    try:
        with anyio.fail_after(COMPACT_WITHIN_S):
            await _carry_out(plan)
    except (CalledProcessError, TimeoutError):
        log.warning("compaction_broken_off")
    finally:
        with anyio.CancelScope(shield=True):  # the plan is gone already where all went well
            await to_thread.run_sync(partial(shutil.rmtree, plan, ignore_errors=True))
    return await to_thread.run_sync(snapshots.made, plan)


async def _carry_out(plan: Path) -> None:
    """Raises CalledProcessError, and OSError where no process can be started.

    Not begun by the event loop: uvloop forks, and a large process holds it for six milliseconds a
    gigabyte meanwhile. `subprocess` copies nothing.
    """
    command = [sys.executable, "-P", "-m", "kefu.recommendations.compact", str(plan)]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    begin = partial(Popen, command, env=env, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    process = await to_thread.run_sync(begin)
    try:
        code = await to_thread.run_sync(process.wait, abandon_on_cancel=True)
    finally:
        if process.poll() is None:
            process.kill()
            with anyio.CancelScope(shield=True), suppress(TimeoutExpired):
                await to_thread.run_sync(process.wait, GONE_WITHIN_S)
    if code != 0:
        raise CalledProcessError(code, command)
