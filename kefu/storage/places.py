"""Where the embedded servers' files live, and who may reach them.

Usually everything is inside the data directory. PostgreSQL refuses to run as root, so under root
the servers run as somebody else: the data directory's owner, else `postgres`, else `nobody`. If the
directories above keep that user out, the servers' files live under /var/lib/kefu and a pointer file
in the data directory says where. No permission above the data directory is ever changed.
"""

import os
import pwd
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from kefu.storage.errors import EmbeddedError
from kefu.storage.processes import ServerUser, can_reach

SHARED = Path("/var/lib/kefu")
_POINTER = "servers-live-in"
_SERVER_USERS = ("postgres", "nobody")
# A socket's path may have 104 bytes (macOS) and ours adds "/db/.s.PGSQL.5432".
_RUN_PATH_LIMIT = 84
_SAFE_PATH = re.compile(r"/[A-Za-z0-9/._+-]*")


class Places(NamedTuple):
    """The directories of one embedded stack. `user` is None unless the guard is root."""

    data: Path
    home: Path
    run: Path
    user: ServerUser | None

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def valkey(self) -> Path:
        return self.home / "valkey"

    @property
    def lock(self) -> Path:
        return self.home / "guard.lock"

    @property
    def sockets(self) -> Path:
        return self.run / "db"

    @property
    def valkey_socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def mark(self) -> str:
        """A name only this stack's servers carry, for finding them among all processes."""
        return f"{_short_name(self.home)}-servers"

    def log(self, name: str) -> Path:
        return self.data / "logs" / f"{name}.log"


def guard_socket(data: Path) -> Path:
    """Where the guard of `data` listens, if there is one. Creates nothing.

    :raises FileNotFoundError: no kefu has run here yet.
    """
    return _run_directory(home_of(data)) / "guard.sock"


def prepare(data: Path) -> Places:
    """Make the directories of `data` and say where they are. Safe with two at once.

    :raises EmbeddedError: the directory belongs to someone else or cannot be reached.
    """
    if not str(data).isprintable():
        raise EmbeddedError("The data directory's name has control characters. Choose another.")
    try:
        user = _prepare_data(data)
        home = home_of(data)
        places = Places(data, home, _run_directory(home), user)
        give_to(user, places.valkey)
        places.log("guard").parent.mkdir(exist_ok=True)
        own_like(data, places.log("guard").parent)
    except OSError as error:
        raise EmbeddedError(
            f"The data directory {data} cannot be used: {error.strerror} ({error.filename}). "
            "Choose another with --data-dir, or correct its owner."
        ) from error
    return places


@contextmanager
def run_directory(places: Places) -> Iterator[None]:
    """Make the directory of the sockets for as long as the block lasts; the lock must be held.

    :raises EmbeddedError: somebody else has put something there; anybody may write to /tmp.
    """
    run, owner = places.run, places.home.stat().st_uid
    if os.path.lexists(run):
        if run.lstat().st_uid not in (owner, os.geteuid()):
            raise EmbeddedError(f"{run} belongs to another user. Remove it and start again.")
        shutil.rmtree(run)
    run.mkdir(mode=0o700)
    own_like(places.home, run)
    if places.user and places.user.uid != owner:
        run.chmod(0o711)
    give_to(places.user, places.sockets)
    try:
        yield
    finally:
        shutil.rmtree(run, ignore_errors=True)


def give_to(user: ServerUser | None, directory: Path) -> None:
    """Make `directory`, private to the servers' user."""
    directory.mkdir(exist_ok=True)
    directory.chmod(0o700)
    if user is not None:
        os.chown(directory, user.uid, user.gid)


def own_like(model: Path, path: Path) -> None:
    """Under root, let `path` belong to whom `model` belongs: an ordinary user's data directory
    must stay theirs altogether."""
    if os.geteuid() == 0:
        owner = model.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _prepare_data(data: Path) -> ServerUser | None:
    if os.geteuid() != 0:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_foreign_files(home_of(data) / "postgres")
        return None
    data.mkdir(parents=True, exist_ok=True)
    if not any(data.iterdir()):
        data.chmod(0o711)
    user = _owner(home_of(data) / "postgres") or _owner(data) or _another_user()
    if not can_reach(user, home_of(data)):
        if (home_of(data) / "postgres").exists():
            raise EmbeddedError(
                f"The files in {home_of(data)} belong to user {user.uid}, who can no longer reach "
                "them. Let that user pass through the directories above, or move the data."
            )
        _live_elsewhere(data, user)
    return user


def _refuse_foreign_files(postgres: Path) -> None:
    if postgres.exists() and postgres.stat().st_uid != os.geteuid():
        raise EmbeddedError(
            f"The database files in {postgres} belong to user {postgres.stat().st_uid}. Run kefu "
            "as the user who made them, or choose another --data-dir."
        )


def _owner(path: Path) -> ServerUser | None:
    """Whoever owns what exists, unless it is root."""
    try:
        owner = path.stat()
    except FileNotFoundError:
        return None
    return ServerUser(owner.st_uid, owner.st_gid) if owner.st_uid else None


def _another_user() -> ServerUser:
    for name in _SERVER_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL refuses to run as root and there is no user `postgres` or `nobody` here. "
        "Run kefu as an ordinary user, or set KEFU_DATABASE_URL and KEFU_REDIS_URL."
    )


def make_shared(user: ServerUser) -> None:
    """Make /var/lib/kefu, where `user` may pass.

    :raises EmbeddedError: it exists and keeps that user out.
    """
    if not SHARED.exists():
        SHARED.mkdir(parents=True, exist_ok=True)
        SHARED.chmod(0o711)
    if not can_reach(user, SHARED):
        raise EmbeddedError(
            f"The servers run as user {user.uid}, who cannot enter {SHARED}. Allow it "
            f"(chmod o+x {SHARED}), or choose a --data-dir that user can reach."
        )


def _live_elsewhere(data: Path, user: ServerUser) -> None:
    make_shared(user)
    home = SHARED / f"data-{os.urandom(8).hex()}"
    home.mkdir()
    home.chmod(0o711)
    draft = data / f"{_POINTER}.{os.getpid()}"
    draft.write_text(f"{home}\n")
    try:
        os.link(draft, data / _POINTER)  # fails when another guard was first: theirs counts
    except FileExistsError:
        home.rmdir()
    else:
        (home / "data-directory").write_text(f"{data}\n")
    finally:
        draft.unlink()


def home_of(data: Path) -> Path:
    """Where the servers' files of `data` are: inside it, or where its pointer says.

    :raises EmbeddedError: the pointer leads nowhere.
    """
    try:
        home = Path((data / _POINTER).read_text().strip())
    except FileNotFoundError:
        return data
    if not home.is_dir():
        raise EmbeddedError(
            f"{data / _POINTER} says the database is in {home}, which does not exist. Restore that "
            "directory from a backup, or delete the file to begin with an empty database."
        )
    return home


def _short_name(home: Path) -> str:
    place = home.stat()
    return f"kefu-{place.st_dev:x}-{place.st_ino:x}"


def _run_directory(home: Path) -> Path:
    run = home / "run"
    if len(os.fsencode(run)) <= _RUN_PATH_LIMIT and _SAFE_PATH.fullmatch(str(run)):
        return run
    return Path("/tmp") / _short_name(home)  # never TMPDIR: every process must find the same place
