"""The snapshot a measurement stands on: made once, in a process of its own, and opened as usual.

python -m bench.views_postings full /tmp/kefu-views     100 M views, about ten minutes
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from bench.views_drawn import SIZES, Shop, ids
from kefu.recommendations import snapshots
from kefu.recommendations.counting.compaction import Cut
from kefu.recommendations.counting.index import Index
from kefu.recommendations.counting.scoring import Score, cosine
from kefu.recommendations.snapshots import Snapshot

POSITIONS = {"views:00": "1-0"}


def opened(size: str, seed: int, folder: Path) -> Snapshot:
    """The snapshot in `folder`, which is made where there is none."""
    home = folder / f"{size}-{seed}"
    found = snapshots.latest(home)
    if found is None:
        command = [sys.executable, "-m", "bench.views_postings", size, str(folder), str(seed)]
        subprocess.run(command, check=True)
        found = snapshots.latest(home)
    assert found is not None
    return found


def index_of(snapshot: Snapshot, score: Score = cosine) -> Index:
    """As an instance begins."""
    return Index(snapshot.postings, snapshot.numbering(), score=score)


def made(viewers: np.ndarray, products: np.ndarray, folder: Path) -> Snapshot:
    """A snapshot of these pairs; viewers have the ids of their numbers."""
    count = int(viewers.max()) + 1
    high, low = ids(np.arange(count))
    nobody = np.empty(0, np.int32)
    cut = Cut(
        until=viewers.size,
        viewers=viewers,
        products=products,
        high=high,
        low=low,
        number=np.arange(count, dtype=np.int32),
        renamed_high=np.empty(0, np.uint64),
        renamed_low=np.empty(0, np.uint64),
        renamed_number=nobody,
        emptied=nobody,
        viewer_count=count,
        product_count=int(products.max()) + 1,
    )
    return snapshots.opened(snapshots.carry_out(snapshots.save_plan(folder, None, cut, POSITIONS)))


if __name__ == "__main__":
    size, seed = sys.argv[1], int(sys.argv[3]) if len(sys.argv) > 3 else 1
    made(*Shop(SIZES[size], seed).pairs(), Path(sys.argv[2]) / f"{size}-{seed}")
