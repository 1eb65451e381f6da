"""How long from the command to a server that is ready, with PostgreSQL and Valkey of its own.

    python -m bench.start

Cold is the first start in an empty folder: PostgreSQL is set up, every migration applied. Warm is
each start after that, in the same folder. Ready is when /readyz answers 200. Programs and libraries
are in the machine's page cache in both.
"""

import argparse
import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import httpx

from bench.figures import show, surroundings

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"Customer +(http://\S+)/\s")
WITHIN_S = 120.0
LOOK_S = 0.005
Figures = dict[str, object]


async def start_once(data_dir: Path) -> Figures:
    """One start and one stop."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kefu", "serve", "--port", "0", "--data-dir", str(data_dir)),
        env={**os.environ, "KEFU_LOG_LEVEL": "warning"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            url = await _address(process)
            said = time.perf_counter() - started
            await _until_ready(url)
        ready = time.perf_counter() - started
    finally:
        stopping = time.perf_counter()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        code = await process.wait()
    stopped = time.perf_counter() - stopping
    return {
        "ready_s": round(ready, 2),
        "address_said_s": round(said, 2),
        "stopped_s": round(stopped, 2),
        "exit_code": code,
    }


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    said = ""
    async for line in process.stdout:
        said += line.decode()
        found = ADDRESS.search(said)
        if found:
            return found[1]
    raise RuntimeError(f"kefu did not start: {said}")


async def _until_ready(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(int(WITHIN_S / LOOK_S)):
            if (await client.get(f"{url}/readyz")).status_code == 200:
                return
            await asyncio.sleep(LOOK_S)
    raise RuntimeError("kefu never became ready")


async def measure(warm_count: int) -> tuple[Figures, list[Figures]]:
    """The first start in a new folder, and those after it."""
    folder = Path(tempfile.mkdtemp(prefix="kefu-bench-", dir="/tmp"))
    os.chmod(folder, 0o755)
    try:
        cold = await start_once(folder / "data")
        return cold, [await start_once(folder / "data") for _ in range(warm_count)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.start",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    rounds = 1 if asked.quick else asked.rounds
    where = surroundings()
    runs: dict[str, list[Figures]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        cold, warm = asyncio.run(measure(1 if asked.quick else 3))
        runs["cold"].append(cold)
        runs["warm"] += warm
    show("start", where, {"rounds": rounds}, runs, keep=not asked.quick)


if __name__ == "__main__":
    main()
