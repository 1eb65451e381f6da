"""uvicorn's WebSocket transport, but a peer that reads nothing cannot keep it for ever.

uvicorn closes a connection politely: it waits until everything is written, which a stalled or dead
peer never lets happen. Here the polite close has a deadline, after which the connection is cut.
"""

import asyncio
import logging
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

FAREWELL_S: Final = 5.0
# What strangers can make uvicorn log as often as they like; each is answered on the wire.
_NOISE: Final = (
    "Invalid UTF-8 sequence",
    "Invalid HTTP request",
    "Unsupported upgrade request",
    "ASGI callable returned without completing response",  # a stream's client that read nothing
    "ASGI callable returned without completing handshake",  # of every upgrade that is refused
)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    _cut: asyncio.TimerHandle | None = None

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        super().on_task_complete(task)
        if not self.disconnected:
            self._cut = self.loop.call_later(FAREWELL_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._cut is not None:
            self._cut.cancel()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()


def is_news(record: logging.LogRecord) -> bool:
    """A filter for uvicorn's log."""
    return not record.getMessage().startswith(_NOISE)
