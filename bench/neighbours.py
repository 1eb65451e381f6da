"""How much of the machine others use while something is measured: on a shared one it says which
runs to believe."""

import os
import time
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
OUR_FOLDERS = b"kefu-bench-"
"""In the command line of the servers of a benchmark: they are no children of ours."""


class Neighbours:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._busy = _busy_ticks()
        self._ours = _our_ticks()

    def cores(self) -> float:
        """How many cores were busy with what is neither us, nor our servers, since then."""
        took = time.perf_counter() - self._started
        busy, now = _busy_ticks() - self._busy, _our_ticks()
        ours = sum(ticks - self._ours.get(process, 0) for process, ticks in now.items())
        return round(max(0.0, (busy - ours) / TICKS_PER_S / took), 2)


def _busy_ticks() -> int:
    fields = [int(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]  # all but idle and waiting for a disk


def _our_ticks() -> dict[int, int]:
    """Of this process, of those with our folder on their command line, and of all below them."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    ours = {os.getpid()}
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            if OUR_FOLDERS in (path / "cmdline").read_bytes():
                ours.add(int(path.name))
        except OSError:  # it has just ended
            continue
        parents[int(path.name)] = int(fields[1])
        ticks[int(path.name)] = int(fields[11]) + int(fields[12])
    return {each: used for each, used in ticks.items() if _is_below(each, ours, parents)}


def _is_below(process: int, roots: set[int], parents: dict[int, int]) -> bool:
    while process in parents:
        if process in roots:
            return True
        process = parents[process]
    return False
