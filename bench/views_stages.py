"""What is measured of an index, each stage in a process of its own that has nothing else."""

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import uvloop

from bench import views_postings
from bench.neighbours import Neighbours
from bench.views_answers import (
    LIMIT,
    Exact,
    Figures,
    answer_times,
    count_all,
    mistakes,
    recall,
    spread,
)
from bench.views_drawn import SIZES, Shop, packed
from bench.views_taken import TICK_S, Serving, take_in
from kefu.recommendations.counting.index import Index
from kefu.recommendations.follower import CATCHING_UP_AT_ONCE
from kefu.recommendations.keeper import DELTA_PAIRS

FEW = 2_000
SAMPLE = 200
HOT_SAMPLE = 40
FRESH = 1_000_000
AT_ONCE = CATCHING_UP_AT_ONCE
"""Views that are taken in where nobody waits: fewer at once cost more each."""


class Asked(NamedTuple):
    """`answers` are how many are timed, `rate` how many are asked for in a second of serving."""

    size: str
    seed: int
    folder: Path
    answers: int
    seconds: float
    views_per_s: int
    rate: int
    batch: int
    http_rate: int


Stage = Callable[[Asked], Figures]


def alone(stage: Stage, asked: Asked) -> Figures:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_watched, stage, asked).result()


def _watched(stage: Stage, asked: Asked) -> Figures:
    others = Neighbours()
    found = stage(asked)
    return {**found, "others_cores": others.cores()}


def answering(asked: Asked) -> Figures:
    """Answers on what was mapped a moment ago, then with hot products counted. Are they right?"""
    began = time.perf_counter()
    snapshot = views_postings.opened(asked.size, asked.seed, asked.folder)
    index = views_postings.index_of(snapshot)
    ready_s = time.perf_counter() - began
    shop = Shop(SIZES[asked.size], asked.seed)
    just_opened = answer_times(index, shop.asked(FEW, 1))
    for _ in index.watch_heavy():
        pass
    chance = np.random.default_rng(asked.seed)
    hot = chance.permutation(list(index.hot))[:HOT_SAMPLE].tolist()
    sampled = {each: index.neighbours(each, LIMIT) for each in hot}
    counting = count_all(index)
    by_traffic = answer_times(index, shop.asked(asked.answers, 2))
    products = chance.integers(0, snapshot.postings.product_count, asked.answers).tolist()
    uniform = answer_times(index, products)
    memory = memory_mib()
    few = [each for each in dict.fromkeys(products) if each not in index.hot]
    inline = {each: index.neighbours(each, LIMIT) for each in few[:SAMPLE]}
    counted = {each: index.neighbours(each, LIMIT) for each in hot}
    exact = Exact(snapshot.postings)
    return {
        "pairs": len(snapshot.postings),
        "bytes_per_view": round(_bytes(snapshot.path) / SIZES[asked.size].views, 2),
        "bytes_per_pair": round(_bytes(snapshot.path) / len(snapshot.postings), 2),
        "open_s": round(ready_s, 2),
        "answer_ms": by_traffic,
        "answer_uniform_ms": uniform,
        "answer_just_opened_ms": just_opened,
        "hot": counting,
        "wrong_of_inline": f"{mistakes(exact, inline)} of {len(inline)}",
        "wrong_of_hot": f"{mistakes(exact, counted)} of {len(counted)}",
        "recall_hot": recall(exact, counted),
        "recall_hot_before_counted": recall(exact, sampled),
        "memory_mib": memory,
    }


def taking_in(asked: Asked) -> Figures:
    """Fresh views on top, before and after the hot products are counted: each view is added to
    their counts. Then answers with as large a delta as there may be."""
    index = views_postings.index_of(views_postings.opened(asked.size, asked.seed, asked.folder))
    shop = Shop(SIZES[asked.size], asked.seed)
    fresh = packed(*shop.fresh(min(FRESH, shop.size.views // 2), 3))
    half = fresh.size // 2
    taken = take_in(index, fresh[:half], AT_ONCE)
    count_all(index)
    return {
        **taken,
        "hot_counted": take_in(index, fresh[half:], AT_ONCE),
        "answer_on_delta_ms": answer_times(index, shop.asked(asked.answers, 4)),
        "memory_mib": memory_mib(),
    }


def serving(asked: Asked) -> Figures:
    """All of it at once, on one event loop, on a copy of the snapshot: it is compacted."""
    folder = Path(tempfile.mkdtemp(prefix="kefu-bench-", dir=asked.folder))
    try:
        return _serve(asked, folder)
    finally:
        shutil.rmtree(folder)


def _serve(asked: Asked, folder: Path) -> Figures:
    snapshot = views_postings.opened(asked.size, asked.seed, asked.folder)
    index = views_postings.index_of(snapshot)
    shop = Shop(SIZES[asked.size], asked.seed)
    count_all(index)
    least, most = DELTA_PAIRS
    soon = int(0.9 * min(max(len(index) // 20, least), most))
    take_in(index, packed(*shop.fresh(soon, 4)), AT_ONCE)
    views = packed(*shop.fresh(int(asked.seconds * asked.views_per_s), 5))
    house = Serving(index, snapshot, folder, views, asked.batch)
    asked_for = shop.asked(int(asked.seconds * asked.rate), 6)
    before = time.process_time()
    uvloop.run(house.run(asked.seconds, asked.views_per_s, asked_for, asked.rate))
    cpu_share = (time.process_time() - before) / asked.seconds
    return {
        "views_per_s": round(house.taken / asked.seconds),
        "answers_per_s": round(len(house.answers) / asked.seconds),
        "stall_ms": house.stalls.read(less=TICK_S),
        "stall_compacting_ms": house.stalls_compacting.read(less=TICK_S),
        "answer_ms": spread(house.answers),
        "seen_after_ms": spread(house.fresh),
        "compactions": house.keeper.compactions,
        "compacting_s": round(house.compacting_s, 1),
        "hot_products": len(index.hot),
        "cpu_share": round(cpu_share, 2),
        "memory_mib": memory_mib(),
    }


def starting(asked: Asked) -> Figures:
    """From the snapshot on the disk, with what came since in the log."""
    shop = Shop(SIZES[asked.size], asked.seed)
    tail = packed(*shop.fresh(shop.size.tail, 7))
    del shop
    began = time.perf_counter()
    index: Index = views_postings.index_of(
        views_postings.opened(asked.size, asked.seed, asked.folder)
    )
    opened_s = time.perf_counter() - began
    taken = take_in(index, tail, AT_ONCE)
    return {
        "tail_views": tail.size,
        "open_s": round(opened_s, 2),
        "ready_s": round(time.perf_counter() - began, 2),
        "tail_views_per_s": taken["views_per_s"],
        "memory_mib": memory_mib(),
    }


def memory_mib() -> Figures:
    """Of this process; `mapped` is what the system may take back, of the snapshot's files."""
    status = Path("/proc/self/status").read_text()
    names = {"own": "RssAnon", "mapped": "RssFile", "most": "VmHWM"}
    return {
        name: int(re.search(rf"{field}:\s+(\d+)", status)[1]) // 1024
        for name, field in names.items()
    }


def _bytes(folder: Path) -> int:
    """Of the postings: the ids are not paid for by view."""
    return sum(each.stat().st_size for each in folder.glob("*.npy") if "id_" not in each.name)
