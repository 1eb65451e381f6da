"""How fast are durable chats? Pairs of a customer and an agent, both writing.

    python -m bench.chat                          100 pairs, 1 message/s a side, open loop
    python -m bench.chat --window 8               as fast as it goes, 8 under way a side
    python -m bench.chat --window 8 --peer        the same beside socket.io + pg, A B A B
    python -m bench.chat --half                   at half the rate that run reached

In the open loop messages are due at their time whether or not the server keeps up, and count from
when they were due. Every message is followed: lost, doubled, out of order and misdelivered ones are
counted. With two cores or more the server has the first one; PostgreSQL shares the rest with the
load generator.
"""

import argparse
import asyncio
import json
import random
import time
from statistics import median

import uvloop

from bench.figures import RESULTS, percentiles, ratio, show, surroundings
from bench.neighbours import Neighbours
from bench.node import bound_to, cores
from bench.pair import Tally
from bench.shop import cpu_seconds, memory_kib
from bench.systems import open_system

PEER = "socket.io + pg"
WARM_UP_S = 2.0
LINGER_S = 2.0


async def measure(name: str, asked: argparse.Namespace) -> dict[str, object]:
    """One run against one system."""
    server_cpus, our_cpus = cores()
    with bound_to(our_cpus):
        return await _measure(name, asked, server_cpus)


async def _measure(
    name: str, asked: argparse.Namespace, server_cpus: set[int] | None
) -> dict[str, object]:
    chance = random.Random(asked.seed)
    async with open_system(name, server_cpus) as system:
        tally = Tally()
        pairs = [await system.pair(tally, number) for number in range(asked.pairs)]
        sides = [side for pair in pairs for side in pair]
        start = time.perf_counter()
        until = start + WARM_UP_S + asked.seconds
        writing = [
            asyncio.ensure_future(
                side.write_in_window(asked.window, until)
                if asked.window
                else side.write_at_rate(asked.rate, start + chance.random() / asked.rate, until)
            )
            for side in sides
        ]
        await asyncio.sleep(WARM_UP_S)
        tally.is_counting, used = True, cpu_seconds(system.process_id)
        others = Neighbours()
        await asyncio.sleep(asked.seconds)
        tally.is_counting, used = False, cpu_seconds(system.process_id) - used
        acked, others_cores = len(tally.ack_s), others.cores()
        for task in writing:
            task.cancel()
        await asyncio.sleep(LINGER_S)  # what is still under way arrives, or counts as lost
        return {
            "acknowledged_per_s": round(acked / asked.seconds),
            "per_server_cpu_s": round(acked / used) if used else 0,
            "server_cpu_share": round(used / asked.seconds, 3),
            "ack_ms": percentiles(tally.ack_s),
            "delivery_ms": percentiles(tally.delivery_s),
            "lost": sum(side.undelivered_count for side in sides),
            "unacknowledged": sum(side.unacknowledged_count for side in sides),
            "doubled": tally.doubled,
            "out_of_order": tally.disordered,
            "misdelivered": tally.misdelivered,
            "errors": tally.errors,
            "others_cores": others_cores,
            "server_memory_mib": memory_kib(system.process_id) // 1024,
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chat",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1.0, help="messages/s of each side")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--window", type=int, default=0, help="0: open loop at --rate")
    parser.add_argument("--peer", action="store_true", help="beside socket.io + pg")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--half", action="store_true", help="half of what chat-saturated.json says")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.pairs, asked.seconds = 10, 3.0
    if asked.half:
        asked.rate = round(saturated_rate() / 2 / (asked.pairs * 2), 1)
    where = surroundings()
    systems = ("kefu", PEER) if asked.peer else ("kefu",)
    runs: dict[str, list[dict[str, object]]] = {name: [] for name in systems}
    for _ in range(asked.rounds):
        for name in systems:
            runs[name].append(uvloop.run(measure(name, asked)))
    form = f"window {asked.window}" if asked.window else f"{asked.rate:g}/s a side, open loop"
    said = {"pairs": asked.pairs, "form": form, "seconds": asked.seconds, "seed": asked.seed}
    found = {"kefu to peer": ratio(runs, "kefu", PEER, "acknowledged_per_s")} if asked.peer else {}
    show(_file(asked), where, said, runs, found, keep=not asked.quick)


def saturated_rate() -> float:
    """Messages a second that kefu acknowledged in the last saturated run.

    Raises SystemExit when there was none.
    """
    try:
        kept = json.loads((RESULTS / "chat-saturated.json").read_text())["runs"]["kefu"]
    except (OSError, KeyError):
        raise SystemExit("First: python -m bench.chat --window 8 --peer --rounds 3") from None
    return float(median(run["acknowledged_per_s"] for run in kept))


def _file(asked: argparse.Namespace) -> str:
    if asked.window:
        return "chat-saturated"
    return "chat-half" if asked.half else "chat"


if __name__ == "__main__":
    main()
