"""What every result says of itself: machine, versions, commit, fsync; and percentiles."""

import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds. Empty when nothing was measured."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    found = {k: round(ordered[int(q * (len(ordered) - 1))] * 1000, 2) for k, q in at.items()}
    return {**found, "max": round(ordered[-1] * 1000, 2)}


def surroundings() -> dict[str, object]:
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line),
        "?",
    )
    return {
        "machine": f"{cpu}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "uvicorn": version("uvicorn"),
        "uvloop": version("uvloop"),
        "commit": _commit(),
        "fsync_ms": _fsync_ms(),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _fsync_ms() -> float:
    """The median of 50 times writing 8 KiB and waiting for the disk."""
    took = []
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        for _ in range(50):
            file.seek(0)
            file.write(b"x" * 8192)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return round(sorted(took)[25] * 1000, 3)


def show(name: str, where: dict[str, object], figures: dict[str, object]) -> None:
    """Print a table and keep it, as JSON and Markdown, under bench/results/."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(
        json.dumps({"where": where, "figures": figures}, indent=2, ensure_ascii=False) + "\n"
    )
    rows = [f"| {key} | {value} |" for key, value in {**figures, **where}.items()]
    table = "\n".join([f"# {name}", "", "| what | figure |", "| --- | --- |", *rows, ""])
    (RESULTS / f"{name}.md").write_text(table)
    print(table)  # the result is what the command is for
