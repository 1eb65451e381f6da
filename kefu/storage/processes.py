"""The servers' processes as the operating system sees them.

Binding a child to its parent's life is Linux only (PDEATHSIG). Elsewhere a server outlives a killed
guard until the next start finds it by its mark and ends it.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_IS_LINUX = sys.platform.startswith("linux")
_SET_PDEATHSIG = 1


class ServerUser(NamedTuple):
    """Whom the servers run as when the guard is root."""

    uid: int
    gid: int


def spawn(
    command: Sequence[str | Path],
    *,
    user: ServerUser | None,
    end_with: signal.Signals,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start `command` as `user`; on Linux it gets `end_with` the moment the guard dies."""
    return subprocess.Popen(
        command, preexec_fn=_die_with_parent(end_with), **_identity(user), **options
    )


def _identity(user: ServerUser | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": []}


def _die_with_parent(end_with: signal.Signals) -> Callable[[], None] | None:
    if not _IS_LINUX:
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(_SET_PDEATHSIG, int(end_with))
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return bind


def can_reach(user: ServerUser, path: Path) -> bool:
    """Whether `user` may enter the directory, or run the program, at `path`."""
    child = os.fork()
    if child == 0:
        reachable = False
        try:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
            reachable = os.access(path, os.X_OK)
        finally:
            os._exit(0 if reachable else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def living(mark: str) -> list[int]:
    """Process ids of the servers whose command line carries `mark`. Zombies do not live.

    Every server of a data directory shows the directory's mark in its title: the pid in
    postmaster.pid alone may by now belong to a zombie or to a stranger.
    """
    return [pid for pid, command in _commands() if mark in command]


def _commands() -> list[tuple[int, str]]:
    if _IS_LINUX:
        return [(int(entry), _command(entry)) for entry in os.listdir("/proc") if entry.isdigit()]
    listing = subprocess.run(
        ["ps", "-axo", "pid=,stat=,command="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=2) for line in listing.stdout.splitlines()]
    return [(int(row[0]), row[2]) for row in rows if len(row) == 3 and "Z" not in row[1]]


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # empty for a zombie
            return file.read(8192).replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def end(pids: list[int], ending: signal.Signals) -> None:
    """Send `ending` to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, ending)
        except ProcessLookupError:
            continue


def wait_until(done: Callable[[], bool], *, within_s: float, every_s: float = 0.02) -> bool:
    """Poll `done` until it is true (True) or `within_s` has passed (False)."""
    deadline = time.monotonic() + within_s
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True
