"""Leaving: nobody new is let in, and whoever is here is sent away, before the server stops.

Everybody hears at once when their moment comes; the moments are spread, so that not all of them
come back elsewhere in the same instant. A server with few connections is gone at once.
"""

from typing import Final

import anyio
import anyio.lowlevel

from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.gateway.connection import Connection
from kefu.gateway.hub import Hub
from kefu.gateway.limits import GOODBYE_WITHIN_S
from protocol.codes import CloseCode, ErrorCode

CONNECTIONS_A_SECOND: Final = 500.0
GONE_EVERY_S: Final = 0.02
TOLD_AT_ONCE: Final = 100
RETRY_S: Final = (1.0, 5.0)
REASON: Final = "This instance is draining: it is about to stop."


class Drain:
    """`window_s` is how far the moments are spread at most."""

    def __init__(self, hub: Hub, entropy: Entropy, window_s: float) -> None:
        self._hub = hub
        self._random = entropy.random
        self._window_s = window_s
        self._is_draining = False

    async def reason(self) -> str | None:
        """Why this instance is not ready, if it is leaving."""
        return REASON if self._is_draining else None

    def check(self) -> None:
        """Raises Problem(OVERLOADED) when nobody may come in any more."""
        if self._is_draining:
            raise Problem(ErrorCode.OVERLOADED, retry_after_s=self._random.uniform(*RETRY_S))

    async def run(self) -> None:
        """Send everybody away; return when they have gone, or do not go."""
        self._is_draining = True
        present = self._present()
        window_s = min(self._window_s, len(present) / CONNECTIONS_A_SECOND)
        began = anyio.current_time()
        leaving: list[tuple[float, Connection]] = []
        for number, connection in enumerate(present):
            after_s = self._random.uniform(0.0, window_s)
            connection.announce_end(after_s)
            leaving.append((after_s, connection))
            if number % TOLD_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        await _close_at_their_moments(leaving, began)
        with anyio.move_on_after(GOODBYE_WITHIN_S):
            while self._present():  # noqa: ASYNC110 - each leaves by itself, and tells nobody
                await anyio.sleep(GONE_EVERY_S)

    def _present(self) -> list[Connection]:
        return [each for each in self._hub if isinstance(each, Connection) and each.is_present]


async def _close_at_their_moments(leaving: list[tuple[float, Connection]], began: float) -> None:
    leaving.sort(key=lambda one: one[0])
    for after_s, connection in leaving:
        ahead_s = began + after_s - anyio.current_time()
        if ahead_s > 0:
            await anyio.sleep(ahead_s)
        connection.close(CloseCode.DRAINING)
