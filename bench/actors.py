"""How fast actors are, beside what one would use instead, every round in the order A B C D E.

    python -m bench.actors                every measurement on every system
    python -m bench.actors --asyncio      without uvloop

Each measurement has a process of its own. Rates are per second of CPU time, because the machine may
be busy with other things; the figure of a system is its best round, a ratio is taken within a
round. Memory is the least of the rounds. Asks have deadlines on all but xoscar, and are answered in
turn; kefu alone supervises and counts.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from bench.figures import ratio, show, surroundings
from bench.python_peers import python_of_peers

ROOT = Path(__file__).parents[1]
SYSTEMS = ("kefu", "asyncio.Queue", "anyio stream", "pykka", "xoscar")
SCALE = {"kefu": 1.0, "asyncio.Queue": 1.0, "anyio stream": 0.5, "pykka": 0.1, "xoscar": 0.04}
THREADS = 2000  # pykka's actors are threads: no more of them at once
Figures = dict[str, object]


class Row(NamedTuple):
    name: str
    measure: str
    times: int
    is_kefus: bool = False
    """Measured on kefu alone: the peers have nothing like it."""


ROWS = (
    Row("tell, bursts of 500, /s", "burst", 1_000_000),
    Row("single hop, ring of 1,000, /s", "hop", 200_000),
    Row("single hop from outside, /s", "outside", 200_000, is_kefus=True),
    Row("ask, one at a time, /s", "ask", 100_000),
    Row("ask, 100 at once, /s", "asks", 200_000),
    Row("activate, /s", "activate", 50_000),
    Row("idle actor, resident bytes", "resident", 20_000),
    Row("idle actor, allocated bytes", "idle", 20_000, is_kefus=True),
)


def measure(system: str, row: Row, *, python: str, asked: argparse.Namespace) -> float:
    """One figure, from a process of its own."""
    if system == "pykka" and row.measure in ("activate", "resident"):
        count = THREADS
    else:
        count = int(row.times * SCALE[system] / (20 if asked.quick else 1))
    if system == "kefu":
        command = [sys.executable, "-m", "bench.kefu_actors", row.measure, str(count)]
    elif system in ("pykka", "xoscar"):
        command = [python, "-m", f"bench.peers.python.{system}_actors", row.measure, str(count)]
    else:
        kind = "stream" if system == "anyio stream" else "queue"
        command = [sys.executable, "-m", "bench.plain_actors", row.measure, str(count), kind]
    if asked.asyncio:
        command.append("--asyncio")
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.actors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--asyncio", action="store_true", help="asyncio's own loop, not uvloop")
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds = 1
    python = python_of_peers()
    where = surroundings()
    rounds: dict[str, list[Figures]] = {name: [{} for _ in range(asked.rounds)] for name in SYSTEMS}
    for row in ROWS:
        print(row.name, flush=True)
        for turn in range(asked.rounds):
            for system in SYSTEMS[:1] if row.is_kefus else SYSTEMS:
                figure = measure(system, row, python=python, asked=asked)
                rounds[system][turn][row.name] = round(figure)
    found = {
        f"kefu to {peer}, {row.name}": ratio(rounds, "kefu", peer, row.name)
        for row in ROWS
        for peer in SYSTEMS[1:]
        if not row.is_kefus
    }
    file = "actors-asyncio" if asked.asyncio else "actors"
    said = {"rounds": asked.rounds, "figures": "best round, per second of CPU time"}
    show(
        file,
        where,
        said,
        {name: [_best(each)] for name, each in rounds.items()},
        found,
        keep=not asked.quick,
    )


def _best(rounds: list[Figures]) -> Figures:
    """The best of each figure: most of a rate, least of memory."""
    figures: Figures = {}
    for name in rounds[0]:
        values = [float(str(each[name])) for each in rounds]
        figures[name] = round(min(values) if "bytes" in name else max(values))
    return figures


if __name__ == "__main__":
    main()
