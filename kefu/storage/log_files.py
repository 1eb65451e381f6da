"""The log files of the guard and its servers. A file beyond 10 MB is emptied at the next start."""

from pathlib import Path
from typing import BinaryIO

from kefu.storage.places import own_like

_LIMIT_BYTES = 10_000_000
_TAIL_BYTES = 4_000


def open_log(path: Path) -> BinaryIO:
    """Open `path` for appending, as a file to hand to a process."""
    if path.exists() and path.stat().st_size > _LIMIT_BYTES:
        path.unlink()
    log = open(path, "ab", buffering=0)
    own_like(path.parent, path)
    return log


def tail(path: Path, line_count: int = 12) -> str:
    """The last lines of `path`, for an error message."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"({error.strerror})"
    return "\n".join(lines[-line_count:])
