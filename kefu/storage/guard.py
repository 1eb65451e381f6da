"""The process that owns the embedded servers: `python -m kefu.storage.guard <data directory>`.

kefu starts it, never a person: its standard input is a socket to the kefu that did. Every kefu
process holds a connection to it, which the kernel closes even after kill -9; when the last one is
gone the guard stops both servers and ends. On Linux, killing the guard stops the servers too.

What it says to a connection, one JSON object a line: {"progress"}, {"ready"}, {"busy"}, {"failed"}.
Import little here: the guard stays in memory as long as kefu runs.
"""

import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kefu.storage import places
from kefu.storage.errors import EmbeddedError
from kefu.storage.log_files import open_log
from kefu.storage.places import Places
from kefu.storage.servers import Servers

_LOCK_LIMIT_S = 60.0
_LEAVE_LIMIT_S = 20.0


def main(arguments: list[str]) -> int:
    """Serve until the last connection is gone. Returns the process's exit code."""
    if os.fork():  # nobody's child: no kefu has to wait for it, and none may end it by closing
        os._exit(0)
    starter = _starter()
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.umask(0o077)
    try:
        _guard(places.prepare(Path(arguments[0])), starter)
    except EmbeddedError as error:
        _say(starter, failed=str(error))
        return 1
    return 0


def _starter() -> socket.socket:
    """The connection to whoever started us, moved away from standard input."""
    connection = socket.socket(fileno=os.dup(0))
    connection.settimeout(1.0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    return connection


def _guard(stack: Places, starter: socket.socket) -> None:
    with open_log(stack.log("guard")) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    address = stack.run / "guard.sock"
    lock = _take_lock(stack, address)
    if lock is None:
        _say(starter, busy=True)
        return
    clients = [starter]
    try:
        with places.run_directory(stack), _listening(address) as listener:
            places.own_like(stack.home, address)
            servers = Servers(stack, lambda words: _say(starter, progress=words))
            try:
                servers.start()
                _serve(listener, clients, servers)
            finally:
                address.unlink(missing_ok=True)
                listener.close()  # whoever still waits there begins again with a new guard
                servers.stop()
    finally:
        os.close(lock)
    for client in clients:  # only now do the last ones hear that all has stopped
        client.close()


def _take_lock(stack: Places, address: Path) -> int | None:
    """The lock of the servers' files; None when another guard serves them.

    :raises EmbeddedError: the lock's holder neither serves nor ends.
    """
    lock = os.open(stack.lock, os.O_RDWR | os.O_CREAT, 0o600)
    places.own_like(stack.home, stack.lock)
    deadline = time.monotonic() + _LOCK_LIMIT_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _somebody_listens(address):
                os.close(lock)
                return None
            time.sleep(0.02)
        else:
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
            return lock
    holder = stack.lock.read_text().strip()
    raise EmbeddedError(
        f"Process {holder} has held {stack.lock} for {_LOCK_LIMIT_S:.0f} s without answering. "
        "If it is a kefu guard that hangs, end it (kill -9) and start again."
    )


def _somebody_listens(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True


@contextmanager
def _listening(address: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(64)
        listener.setblocking(False)
        yield listener


def _serve(listener: socket.socket, clients: list[socket.socket], servers: Servers) -> None:
    """Keep the servers up while anybody is connected. On return the last ones are in `clients`.

    SIGTERM reaches every process when the machine shuts down: kefu may still need its stores to
    drain, so the guard gives it time.
    """
    leave_at: list[float] = []
    signal.signal(signal.SIGTERM, lambda *_: leave_at.append(time.monotonic() + _LEAVE_LIMIT_S))
    ready = {"database_url": servers.database_url, "redis_url": servers.redis_url}
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        for client in clients:
            _say(client, ready=ready)
            selector.register(client, selectors.EVENT_READ)
        while servers.alive() and not (leave_at and time.monotonic() > leave_at[0]):
            for key, _ in selector.select(0.25):
                if key.fileobj is listener:
                    client = _accept(listener)
                    _say(client, ready=ready)
                    selector.register(client, selectors.EVENT_READ)
                    clients.append(client)
                    continue
                client = next(each for each in clients if each is key.fileobj)
                if _has_left(client):
                    if len(clients) == 1:
                        return
                    selector.unregister(client)
                    clients.remove(client)
                    client.close()


def _accept(listener: socket.socket) -> socket.socket:
    client, _ = listener.accept()
    client.settimeout(1.0)
    return client


def _has_left(client: socket.socket) -> bool:
    try:
        return not client.recv(64)
    except OSError:
        return True


def _say(client: socket.socket, **words: object) -> None:
    try:
        client.sendall(json.dumps(words).encode() + b"\n")
    except OSError:
        return  # it is gone; the loop will notice


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
