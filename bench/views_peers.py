"""What one would use instead: implicit, which counts all pairs in a batch, and pairs in Redis."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis

from bench.python_peers import python_of_peers
from bench.shop import open_own_stores
from bench.views_answers import Figures

Ints = NDArray[np.int32]
ROOT = Path(__file__).parents[1]
PER_CALL = 500


def implicit(
    model: str, viewers: Ints, products: Ints, asked: list[int]
) -> tuple[Figures, NDArray[np.int64] | None]:
    """What it took, and the products it finds for each that is asked for, -1 for none."""
    try:
        python = python_of_peers("implicit")
    except (subprocess.CalledProcessError, OSError):
        return {"implicit": "not installed"}, None
    with tempfile.TemporaryDirectory(prefix="kefu-bench-", dir="/tmp") as folder:
        pairs, answers = Path(folder) / "pairs.npz", Path(folder) / "answers.npz"
        np.savez(pairs, viewers=viewers, products=products, asked=np.array(asked))
        command = [python, "-m", "bench.peers.implicit.neighbours", model, pairs, answers]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return json.loads(done.stdout), np.load(answers)["found"]


async def pairs_in_redis(viewers: Ints, products: Ints) -> Figures:
    """Each view adds one to the pairs it makes with what its viewer saw before, both ways."""
    async with open_own_stores() as stores:
        redis = Redis.from_url(stores.redis_url)
        before = (await redis.info("memory"))["used_memory"]
        seen: dict[int, list[int]] = {}
        began = time.perf_counter()
        written = 0
        views = list(zip(viewers.tolist(), products.tolist(), strict=True))
        for start in range(0, len(views), PER_CALL):
            pipeline = redis.pipeline(transaction=False)
            for viewer, product in views[start : start + PER_CALL]:
                history = seen.setdefault(viewer, [])
                for other in history:
                    pipeline.zincrby(f"with:{product}", 1, other)
                    pipeline.zincrby(f"with:{other}", 1, product)
                    written += 2
                history.append(product)
            await pipeline.execute()
        took = time.perf_counter() - began
        used = (await redis.info("memory"))["used_memory"] - before
        await redis.aclose()
    return {
        "views": len(views),
        "views_per_s": round(len(views) / took),
        "writes_per_view": round(written / len(views), 1),
        "bytes_per_view": round(used / len(views), 1),
    }
