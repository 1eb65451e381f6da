"""One measurement in a process of its own, so that none leaves anything behind for the next.

Needs the standard library alone: peers run it with a Python environment of their own.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import process_time

GC_THRESHOLD = 10_000
"""As kefu sets it: the interpreter's 700 costs a fifth of the speed of activation."""
BURST = 500
RING = 1000
ASKERS = 100
Measure = Callable[[int], float | Awaitable[float]]


def resident_bytes() -> int:
    """Memory of this process that is in RAM, after everything unused was given back."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


def best_ns(call: Callable[[], object], rounds: int, count: int = 100_000) -> int:
    """Nanoseconds of CPU time of one call, in the best round."""
    took = []
    for _ in range(rounds):
        started = process_time()
        for _ in range(count):
            call()
        took.append(process_time() - started)
    return round(min(took) / count * 1e9)


def run(measures: Mapping[str, Measure]) -> None:
    """`<measure> <count>` of the command line; prints the figure. uvloop where it is installed."""
    name, count = sys.argv[1], int(sys.argv[2])
    gc.set_threshold(GC_THRESHOLD)
    measure = measures[name]
    if not asyncio.iscoroutinefunction(measure):
        print(measure(count))
        return

    async def once() -> float:
        return float(await measure(count))

    if "--asyncio" in sys.argv:
        print(asyncio.run(once()))
    else:
        import uvloop  # noqa: PLC0415

        print(uvloop.run(once()))
