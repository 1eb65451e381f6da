"""Replay one seed: `python -m tests.simulation --seed 7 --tail 60`."""

import argparse
import sys
import time

from tests.simulation.bugs import planted
from tests.simulation.cluster_bugs import ALL_BUGS
from tests.simulation.play import MESSAGES, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--nodes", type=int, default=1, help="how many instances at first")
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--bug", choices=sorted(ALL_BUGS), help="plant this mistake first")
    parser.add_argument("--late", action="store_true", help="lost statements may still take effect")
    parser.add_argument("--tail", type=int, help="only the last so many lines")
    asked = parser.parse_args()
    started = time.perf_counter()
    with planted(ALL_BUGS.get(asked.bug)):
        outcome = play(asked.seed, asked.messages, nodes=asked.nodes, is_late=asked.late)
    took_s = time.perf_counter() - started
    out = sys.stdout
    out.writelines(line + "\n" for line in outcome.history.lines(asked.tail))
    out.write(f"\nseed {outcome.seed}: {outcome.said} said, {outcome.written} written, ")
    out.write(f"{outcome.took_s:.1f} virtual s in {took_s:.2f} s\n")
    out.write(f"hash {outcome.history.digest()}\n")
    for rule, sentence in outcome.violations:
        out.write(f"BROKEN {rule}: {sentence}\n")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
