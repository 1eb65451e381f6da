"""Work on the index, a piece at a time: what is short by itself stays short beside other work.

Views that came, an answer, a step of counting: each takes up to a few milliseconds, and the event
loop belongs to the chats. Were several of them due at once, the loop would do them all before it
looks at a socket again. So everybody who works on the index takes a turn for each piece, in the
order in which they asked, and lets the loop go round once before the next.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """For all who share one index on one event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Do one piece of work inside; do not wait for anything there."""
        async with self._lock:
            yield
            await asyncio.sleep(0)
