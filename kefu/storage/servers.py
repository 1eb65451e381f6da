"""PostgreSQL and Valkey as one thing that starts, lives and stops.

Both are children of the guard. A new cluster is made beside its place and renamed into it, so that
a start killed half-way leaves nothing that looks finished.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kefu.storage import binaries, processes
from kefu.storage.errors import EmbeddedError
from kefu.storage.log_files import open_log, tail
from kefu.storage.places import Places, give_to

START_LIMIT_S = 600.0  # crash recovery of a large database takes minutes
_STOP_LIMIT_S = 20.0
# Not "C": word and letter classes of Chinese would be unknown to the server.
_LOCALE = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
_POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "jit": "off",
    "timezone": "UTC",
    "lc_messages": "C",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # A failed statement is told to its client; in a log it would repeat what people wrote.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_REDIS_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "dir": ".",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "logfile": "",
}


class Servers:
    """The two servers of `places`. `tell` hears what a waiting person should know."""

    def __init__(self, places: Places, tell: Callable[[str], None]) -> None:
        self._places = places
        self._tell = tell
        self._programs = binaries.find(places, tell)
        self._postgres: subprocess.Popen[bytes] | None = None
        self._redis: subprocess.Popen[bytes] | None = None

    @property
    def database_url(self) -> str:
        return f"postgresql://kefu@/kefu?host={self._places.sockets}"

    @property
    def redis_url(self) -> str:
        return f"unix://{self._places.valkey_socket}?db=0"

    def start(self) -> None:
        """Start both and return when both answer.

        :raises EmbeddedError: one ended or did not answer in time; call `stop` all the same.
        """
        self._end_strays()
        self._remove_drafts()
        if not (self._places.postgres / "PG_VERSION").exists():
            self._make_cluster()
        self._tell("Starting PostgreSQL and Valkey")
        self._postgres = self._start_postgres()
        self._redis = self._start_redis()
        self._await("PostgreSQL", "postgres", self._postgres, self._postgres_answers)
        self._await("Valkey", "valkey", self._redis, self._redis_answers)

    def alive(self) -> bool:
        """Whether both processes still run."""
        return all(each and each.poll() is None for each in (self._postgres, self._redis))

    def stop(self) -> None:
        """Stop both: politely, then at a deadline by force. What was committed is safe either way.

        PostgreSQL's fast shutdown is SIGINT; SIGTERM would wait for its clients.
        """
        running = [
            (each, ending)
            for each, ending in (
                (self._postgres, signal.SIGINT),
                (self._redis, signal.SIGTERM),
            )
            if each is not None
        ]
        for each, ending in running:
            each.send_signal(ending)
        deadline = time.monotonic() + _STOP_LIMIT_S
        for each, _ in running:
            try:
                each.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()

    def _end_strays(self) -> None:
        """End servers a killed guard left behind, then forget their pid file.

        PostgreSQL takes any live process with the noted pid, even a zombie, for its predecessor
        and refuses to start. Its backends must be gone too: they share its memory.
        """
        mark = self._places.mark
        for ending, patience_s in ((None, 5.0), (signal.SIGINT, 10.0), (signal.SIGKILL, 10.0)):
            strays = processes.living(mark)
            if strays and ending:
                self._tell("Stopping the servers an interrupted kefu left running")
                processes.end(strays, ending)
            if processes.wait_until(lambda: not processes.living(mark), within_s=patience_s):
                (self._places.postgres / "postmaster.pid").unlink(missing_ok=True)
                return
        raise EmbeddedError(
            f"Servers of an earlier kefu do not end (processes {processes.living(mark)}). "
            "Restart the machine, or look there for a disk that hangs."
        )

    def _remove_drafts(self) -> None:
        """Remove what an interrupted first start left; its last processes may still write there."""

        def removed() -> bool:
            for draft in self._places.home.glob("postgres.draft-*"):
                shutil.rmtree(draft, ignore_errors=True)
            return not any(self._places.home.glob("postgres.draft-*"))

        processes.wait_until(removed, within_s=10.0)

    def _make_cluster(self) -> None:
        self._tell("Making the database (first start only)")
        draft = self._places.home / f"postgres.draft-{os.getpid()}"
        give_to(self._places.user, draft)
        command: list[str | Path] = [self._programs.initdb, "-D", draft, "-U", "kefu"]
        self._run_to_end(
            [*command, "-A", "trust", "-E", "UTF8", f"--locale={_LOCALE}", "--no-instructions"]
        )
        self._run_to_end(
            [self._programs.postgres, "--single", "-D", draft, "postgres"],
            b"CREATE DATABASE kefu;\n",
        )
        draft.rename(self._places.postgres)

    def _run_to_end(self, command: Sequence[str | Path], words: bytes = b"") -> None:
        with open_log(self._places.log("postgres")) as log:
            process = processes.spawn(
                command,
                user=self._places.user,
                end_with=signal.SIGTERM,
                cwd="/",
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
            try:
                process.communicate(words, timeout=START_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.returncode:
            raise self._failure("The database could not be made.", "postgres")

    def _start_postgres(self) -> subprocess.Popen[bytes]:
        places = self._places
        command: list[str | Path] = [self._programs.postgres]
        command += ["-D", places.postgres, "-k", places.sockets]
        settings = _POSTGRES_SETTINGS | {"cluster_name": self._places.mark}
        for name, setting in settings.items():
            command += ["-c", f"{name}={setting}"]
        return self._start("postgres", command, signal.SIGINT, Path("/"))

    def _start_redis(self) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [self._programs.redis]
        settings = _REDIS_SETTINGS | {
            "unixsocket": str(self._places.valkey_socket),
            "proc-title-template": f"{{title}} {self._places.mark}",
        }
        for name, setting in settings.items():
            command += [f"--{name}", setting]
        return self._start("valkey", command, signal.SIGTERM, self._places.valkey)

    def _start(
        self, name: str, command: Sequence[str | Path], end_with: signal.Signals, cwd: Path
    ) -> subprocess.Popen[bytes]:
        with open_log(self._places.log(name)) as log:
            return processes.spawn(
                command,
                user=self._places.user,
                end_with=end_with,
                cwd=cwd,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _await(
        self, title: str, name: str, process: subprocess.Popen[bytes], answers: Callable[[], bool]
    ) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            done = processes.wait_until(
                lambda: process.poll() is not None or answers(), within_s=5.0
            )
            if process.poll() is not None:
                raise self._failure(f"{title} stopped while starting.", name)
            if done:
                return
            self._tell(f"{title} is still starting; after a crash it first repairs its files")
        raise self._failure(f"{title} did not start within {START_LIMIT_S:.0f} s.", name)

    def _postgres_answers(self) -> bool:
        """The eighth line of its pid file is where PostgreSQL itself says that it is ready."""
        assert self._postgres is not None
        try:
            lines = (self._places.postgres / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        is_ours = lines[:1] == [str(self._postgres.pid)]
        return is_ours and len(lines) >= 8 and lines[7].strip() == "ready"

    def _redis_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self._places.valkey_socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
            except OSError:
                return False

    def _failure(self, sentence: str, name: str) -> EmbeddedError:
        log = self._places.log(name)
        return EmbeddedError(f"{sentence} The end of {log}:\n{tail(log)}")


def _environment() -> dict[str, str]:
    """Nothing of kefu's own environment: it holds secrets the servers need not know."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": _LOCALE, "TZ": "UTC"}
