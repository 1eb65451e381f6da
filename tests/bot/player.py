"""A provider that plays what a test writes for it."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from kefu.bot.ports import Ask, Usage
from tests.bot.parts import Stand

Move = str | Exception | None


class Player:
    """A provider that plays its parts one after another: pieces, a failure, or silence (None)."""

    def __init__(self, *parts: Sequence[Move]) -> None:
        self._parts = list(parts)
        self.asked: list[Ask] = []
        self.conversations: list[str] = []
        self.closed = 0
        self.usage = Usage()
        self.broken: Exception | None = None

    async def new_conversation(self, session: str) -> str:
        if self.broken is not None:
            raise self.broken
        self.conversations.append(f"{session}/{len(self.conversations)}")
        return self.conversations[-1]

    async def stream(self, ask: Ask) -> AsyncGenerator[str, None]:
        self.asked.append(ask)
        part = self._parts.pop(0) if len(self._parts) > 1 else self._parts[0]
        try:
            for move in part:
                await checkpoint()
                if move is None:
                    await anyio.sleep_forever()
                elif isinstance(move, Exception):
                    raise move
                else:
                    yield move
        finally:
            self.closed += 1


def stand(*parts: Sequence[Move], **more: Any) -> Stand:
    return Stand(Player(*parts), **more)


def player(stand: Stand) -> Player:
    assert isinstance(stand.world.provider, Player)
    return stand.world.provider
