"""How good, how fast and how fresh are recommendations, and what do they cost?

    python -m bench.recommend                            20 k products, 500 k views, beside peers
    python -m bench.recommend --size full                1 M products, 100 M views
    python -m bench.recommend --csv u.data --columns 0,1,3 --delimiter tab     are they any good?

Views are drawn by chance (`views_drawn.py`); the snapshot they make is kept in --folder, so that it
is made once. `clock` is what the clock said, `cpu` what the processor of that thread was used for:
where others use the machine the latter is what to believe.
"""

import argparse
import asyncio
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bench import views_postings, views_read
from bench.figures import show, surroundings
from bench.views_answers import Figures
from bench.views_chats import beside_chats
from bench.views_drawn import SIZES, Shop
from bench.views_http import VIEWS_PER_S, over_http
from bench.views_peers import implicit, pairs_in_redis
from bench.views_quality import compare
from bench.views_stages import Asked, alone, answering, serving, starting, taking_in
from kefu.recommendations.follower import VIEWS_AT_ONCE

STAGES = {
    "answers": answering,
    "ingest": taking_in,
    "serving": serving,
    "start": starting,
    "http": over_http,
    "chats": beside_chats,
}
PEERS_UP_TO = 1_000_000
"""Views: implicit takes minutes and pairs in Redis days for more."""
LOOKUPS = 2_000


def main() -> None:
    asked = _asked()
    where = {**surroundings(), "numpy": version("numpy"), "scipy": version("scipy")}
    where["python_loop_20m_cpu_s"] = _loop_s()
    if asked.csv:
        _rate(asked, where)
    else:
        _measure(asked, where)


def _measure(asked: argparse.Namespace, where: Figures) -> None:
    size = SIZES[asked.size]
    about = Asked(
        asked.size,
        asked.seed,
        asked.folder,
        asked.answers,
        asked.seconds,
        asked.views_per_s,
        asked.rate,
        asked.batch,
        asked.http_rate,
    )
    views_postings.opened(asked.size, asked.seed, asked.folder)
    kefu: Figures = {name: alone(STAGES[name], about) for name in asked.stages.split(",")}
    runs: dict[str, list[Figures]] = {"kefu": [kefu]}
    if size.views <= PEERS_UP_TO:
        runs |= {name: [each] for name, each in _peers(asked).items()}
    said = {**size._asdict(), "seed": asked.seed, "stages": asked.stages, "batch": asked.batch}
    said |= {"while serving": f"{asked.views_per_s} views/s, {asked.rate} answers/s"}
    said |= {"over HTTP": f"{VIEWS_PER_S} views/s, {asked.http_rate} answers/s"}
    show(f"recommend-{asked.size}", where, said, runs, keep=not asked.quick)


def _peers(asked: argparse.Namespace) -> dict[str, Figures]:
    shop = Shop(SIZES[asked.size], asked.seed)
    viewers, products = shop.pairs()
    told, _ = implicit("CosineRecommender", viewers, products, shop.asked(LOOKUPS, 2))
    few = np.flatnonzero(viewers < (400 if asked.quick else 4_000))  # with all they ever viewed
    return {
        "implicit": told,
        "pairs in Redis": asyncio.run(pairs_in_redis(viewers[few], products[few])),
    }


def _rate(asked: argparse.Namespace, where: Figures) -> None:
    views = views_read.read(asked.csv, asked.columns, asked.delimiter)
    found = compare(views, asked.answers)
    about = {
        "file": asked.csv.name,
        "viewers": len(set(views.viewers.tolist())),
        "products": len(set(views.products.tolist())),
        "pairs": views.viewers.size,
    }
    runs = {name: [each] for name, each in found.items()}
    show(f"recommend-{asked.csv.stem}", where, about, runs, keep=not asked.quick)


def _loop_s() -> float:
    """How fast this machine is today."""
    began, x = time.thread_time(), 0
    for i in range(20_000_000):
        x += i
    return round(time.thread_time() - began, 2)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.recommend",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", choices=SIZES, default="s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/kefu-views"))
    parser.add_argument("--stages", default=",".join(STAGES), help="what is measured")
    parser.add_argument("--answers", type=int, default=10_000, help="how many are timed")
    parser.add_argument("--seconds", type=float, default=60.0, help="of serving")
    parser.add_argument("--views-per-s", type=int, default=20_000, help="while serving")
    parser.add_argument("--rate", type=int, default=200, help="answers/s while serving")
    parser.add_argument("--http-rate", type=int, default=500, help="answers/s over HTTP")
    parser.add_argument("--batch", type=int, default=VIEWS_AT_ONCE, help="views taken in at once")
    parser.add_argument("--csv", type=Path, help="views of a real shop: only quality is measured")
    parser.add_argument("--columns", default="0,1,2", help="of viewer, product, time: or names")
    parser.add_argument("--delimiter", default="comma", help="tab, comma, semicolon, colons")
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.size, asked.answers, asked.seconds, asked.http_rate = "quick", 500, 3.0, 50
    return asked


if __name__ == "__main__":
    main()
