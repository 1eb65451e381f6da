"""Work on the index, a piece at a time: what is short by itself stays short beside other work.

Views that came, an answer, a step of counting: each takes up to a few milliseconds, and the event
loop belongs to the chats. Were several of them due at once, the loop would do them all before it
looks at a socket again. So everybody who works on the index takes a turn for each piece, and the
loop goes round once before the next. An answer waits for one piece of other work at most.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """For all who share one index on one event loop. Do one piece of work inside of `with`; do not
    wait for anything there."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._other_work = asyncio.Lock()

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Somebody waits for it: in the order of asking, between other work."""
        async with self._turn:
            yield
            await asyncio.sleep(0)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Nobody waits for it: one of all that is such work, beside who asks for answers."""
        async with self._other_work, self._turn:
            yield
            await asyncio.sleep(0)
