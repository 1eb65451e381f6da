"""One worker's place under its parent: what it is handed at the start, and how the two speak.

They share a socket pair. The worker says once that it serves; the parent says nothing, but its end
closes when it dies, however it dies, and the worker stops then as if it had been told to.
"""

import os
import signal
import socket
import threading

from msgspec import Struct

from kefu.errors import KefuError

END: bytes = b"\0"
STOPPED_EXTRA_S = 45.0
"""Beyond the time to send people away: the bundled stores may take 30 s to stop."""


class Place(Struct, frozen=True):
    """Descriptors the worker inherits, its number from 1, and whether the first words are its."""

    listener_fd: int
    parent_fd: int
    number: int
    is_first: bool = False

    def text(self) -> str:
        """As an argument of the command line."""
        return f"{self.listener_fd},{self.parent_fd},{self.number},{self.is_first:d}"

    @classmethod
    def read(cls, text: str) -> "Place":
        """Raises KefuError."""
        try:
            listener_fd, parent_fd, number, is_first = map(int, text.split(","))
        except ValueError as error:
            raise KefuError("A worker is started by `kefu serve --workers N` alone.") from error
        return cls(listener_fd, parent_fd, number, bool(is_first))


class Worker:
    """`stop_within_s` is how long it may take to stop once the parent has gone."""

    def __init__(self, place: Place, *, stop_within_s: float) -> None:
        self.is_first = place.is_first
        self.listener = _inherited(place.listener_fd)
        self._parent = _inherited(place.parent_fd)
        self._stop_within_s = stop_within_s
        threading.Thread(target=self._outlive, daemon=True).start()

    def report(self, words: str) -> None:
        """It serves; the words are for whoever started the parent. Nobody listens: no matter."""
        try:
            self._parent.sendall(words.encode() + END)
        except OSError:
            pass  # the thread knows, too

    def _outlive(self) -> None:
        """A thread's work, because it must end a worker whose event loop hangs, too."""
        try:
            while self._parent.recv(64):
                pass
        except OSError:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(self._stop_within_s + STOPPED_EXTRA_S)
        os._exit(1)


def _inherited(fd: int) -> socket.socket:
    """Nothing that the worker starts gets it in turn: the guard of the stores lives longer."""
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)
