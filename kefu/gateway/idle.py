"""Closes connections on which nobody has said anything for long. One task looks at all of them."""

from typing import Final

import anyio

from kefu.clock import Clock
from kefu.gateway.connection import Connection
from kefu.gateway.hub import Hub
from protocol.codes import CloseCode

LOOKS: Final = 20  # so a connection is closed at most a tenth of the time too late


async def close_idle(hub: Hub, clock: Clock, timeout_s: float) -> None:
    """For ever: close with 4009 what has been silent for `timeout_s`, pings left out."""
    while True:
        await anyio.sleep(timeout_s / LOOKS)
        now = clock.monotonic()
        for listener in hub:
            if isinstance(listener, Connection) and listener.silent_for_s(now) >= timeout_s:
                listener.close(CloseCode.IDLE)
