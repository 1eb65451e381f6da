"""The life of a connection on any transport: open, read and write until either side is done, leave.

What differs comes from the transport: how it begins, reads and says goodbye.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from kefu.gateway.connection import Connection
from kefu.gateway.limits import GOODBYE_WITHIN_S
from kefu.gateway.outbox import Stalled
from protocol.codes import CloseCode

DISCONNECTED: Final = (OSError, RuntimeError)  # what a server raises for a peer that is gone


async def serve(
    connection: Connection,
    *,
    begin: Callable[[], Awaitable[None]],
    read: Callable[[], Coroutine[Any, Any, None]],
    goodbye: Callable[[CloseCode], Awaitable[None]],
    greet: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Read in a task of its own, write in this one. `greet` replaces the role's greeting."""
    loop = asyncio.get_running_loop()
    gauge = connection.backstage.metrics.connections.labels(type(connection.role).__name__)
    gauge.inc()
    connection.open(greet)  # in the same step as it was let in, so that all are counted
    expiry = _close_at_expiry(connection, loop)
    reader: asyncio.Task[None] | None = None
    try:
        await begin()
        reader = loop.create_task(read())
        await connection.write()
    except Stalled:
        connection.close(CloseCode.SLOW_CONSUMER)
    except DISCONNECTED:
        connection.lost()
    finally:
        gauge.dec()
        expiry.cancel()
        connection.leave()
        if reader is not None:
            reader.cancel()
    if connection.close_code is not None and not connection.is_lost:
        await _say_goodbye(goodbye, connection.close_code)


def _close_at_expiry(
    connection: Connection, loop: asyncio.AbstractEventLoop
) -> asyncio.TimerHandle:
    now = connection.backstage.clock.now()
    left_s = (connection.role.expires_at - now).total_seconds()
    return loop.call_later(max(0.0, left_s), connection.close, CloseCode.SIGNED_OUT)


async def _say_goodbye(goodbye: Callable[[CloseCode], Awaitable[None]], code: CloseCode) -> None:
    try:
        async with asyncio.timeout(GOODBYE_WITHIN_S):
            await goodbye(code)
    except (TimeoutError, *DISCONNECTED):
        pass
