"""Answers that come from somebody else than was asked.

An agent's actor has the conversation speak to the agent's connection. Where the conversation's
instance dies in between, the agent's actor knows what came of it, and the frame will never come.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from kefu.errors import Problem
from protocol.codes import ErrorCode
from protocol.server import ToWorkbench

if TYPE_CHECKING:
    from kefu.gateway.connection import Connection

FOLLOWS_WITHIN_S: Final = 2.0


class Owed:
    """The one frame a connection waits for; it asks one thing at a time."""

    def __init__(self) -> None:
        self._frame_id: str | None = None
        self._has_come = asyncio.Event()

    def note(self, frame: ToWorkbench) -> None:
        if self._frame_id is not None and frame.reply_to == self._frame_id:
            self._has_come.set()

    async def ask(
        self, connection: Connection, ref: Any, message: Any, frame_id: str | None
    ) -> None:
        """Return when the answer was heard by the connection. Raises ActorError; Problem when it
        was not: who asks again then is answered, since it has happened or not."""
        self._frame_id = frame_id
        self._has_come.clear()
        try:
            await connection.ask(ref, message)
            if frame_id is not None:
                async with asyncio.timeout(FOLLOWS_WITHIN_S):
                    await self._has_come.wait()
        except TimeoutError:
            raise Problem(ErrorCode.OVERLOADED, retry_after_s=1.0) from None
        finally:
            self._frame_id = None
