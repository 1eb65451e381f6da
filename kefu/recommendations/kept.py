"""Where an instance's snapshots are: a place of its own among those of the same disk.

Several instances may share a data directory. Each takes the first place that is free and has it as
long as it lives; what it begins with is the newest snapshot of any of them.
"""

import fcntl
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from anyio import to_thread

from kefu.clock import Clock
from kefu.recommendations import snapshots
from kefu.recommendations.counting.index import Index
from kefu.recommendations.counting.scoring import SCORERS
from kefu.recommendations.keeper import Keeper, World
from kefu.recommendations.ports import LogUnavailable, Positions
from kefu.recommendations.snapshots import Snapshot
from kefu.recommendations.stream import ViewLog
from kefu.recommendations.turns import Turns
from kefu.settings import RecommendationSettings

PLACES: Final = 256
log = logging.getLogger("kefu.recommendations")


class Kept:
    """`machine` names this one among those that share the log."""

    def __init__(
        self,
        folder: Path,
        machine: str,
        settings: RecommendationSettings,
        views: ViewLog,
        clock: Clock,
    ) -> None:
        self._folder, self._machine, self._settings = folder, machine, settings
        self._views, self._clock = views, clock
        self._place: _Place | None = None

    async def load(self) -> tuple[Index, Positions]:
        """The newest snapshot's index, and up to where it goes; an empty one where there is none.

        Raises OSError where the folder cannot be used.
        """
        return await to_thread.run_sync(self._loaded)

    def keeper(self, index: Index, positions: Mapping[str, str], turns: Turns) -> Keeper:
        """For an index that was loaded here; `positions` goes on as the log is followed."""
        place = self._place
        assert place is not None
        world = World(
            place.path,
            self._clock,
            lambda: positions,
            self._note,
            self._settings.reco_snapshot_every_s,
            turns,
        )
        return Keeper(index, world, place.snapshot)

    def close(self) -> None:
        """Let another instance have the place."""
        if self._place is not None:
            self._place.close()
            self._place = None

    def _loaded(self) -> tuple[Index, Positions]:
        place = self._place = self._place or _Place(self._folder)
        found = place.snapshot = place.begin_with()
        index = Index(
            None if found is None else found.postings,
            None if found is None else found.numbering(),
            history_limit=self._settings.reco_history_limit,
            score=SCORERS[self._settings.reco_scorer],
        )
        return index, {} if found is None else dict(found.positions)

    async def _note(self, positions: Mapping[str, str]) -> None:
        assert self._place is not None
        try:
            await self._views.note_snapshot(f"{self._machine}:{self._place.path}", positions)
        except LogUnavailable:
            log.warning("snapshot_not_noted")  # the next one is: nothing is trimmed until then


class _Place:
    """Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.snapshot: Snapshot | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # who viewed what is private
        for number in range(PLACES):
            self.path = folder / f"{number:03}"
            self.path.mkdir(exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                os.close(self._lock)
        raise OSError(f"All {PLACES} places in {folder} are taken")

    def begin_with(self) -> Snapshot | None:
        found = snapshots.newest(path for path in self._folder.iterdir() if path.is_dir())
        if found is None or found.path.parent == self.path:
            return found
        return snapshots.adopted(found, self.path)

    def close(self) -> None:
        os.close(self._lock)
