"""The port: taken before anything else is started, by one process or shared by several.

Several workers each have a socket of their own on the same port (SO_REUSEPORT): the kernel deals
new connections out evenly, where workers that take from one common socket race for them (with two
workers 318 to 482, with four 30 to 404, of 800). The parent keeps every socket open, so that who
comes while a worker is being restarted waits in its queue instead of being turned away.
"""

import socket
import sys
from typing import Final

from kefu.errors import KefuError

HEARTBEAT_S: Final = 30.0
BACKLOG: Final = 2048


def bind(host: str, port: int) -> socket.socket:
    """Take the port. Raises KefuError when it cannot be had."""
    return _bind(host, port, is_shared=False)


def bind_many(host: str, port: int, count: int) -> list[socket.socket]:
    """The same port, a socket for each of `count` workers. Raises KefuError.

    Taken alone first: with SO_REUSEPORT a second program of the same user could join in unseen.
    Where the system does not deal connections out (only Linux does), all share one socket.
    """
    alone = bind(host, port)
    if sys.platform != "linux":
        return [alone] * count
    port = alone.getsockname()[1]
    alone.close()
    return [_bind(host, port, is_shared=True) for _ in range(count)]


def _bind(host: str, port: int, *, is_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # inherited by who is accepted, and asyncio sets it only where the protocol is named
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # who is accepted inherits it: finds dead streams
        unheard_ms = int(HEARTBEAT_S * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unheard_ms)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise KefuError(
            f"Port {port} on {host} cannot be used ({error.strerror}); choose another with --port."
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
