"""Ends chats that everybody has left: nothing said for long, and the customer not here.

Never one that waits for a human. A round looks at a bounded number of chats and the next goes on
behind them, so that many customers who sit there silently hide nobody. What a round finds is only a
proposal: the conversation ends the chat if nothing happened since.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import anyio
from msgspec import Struct

from kefu.clock import Clock
from kefu.conversations.messages import EndSilent
from kefu.conversations.ports import SilentChat
from kefu.storage.errors import StoreUnavailable

ROUND_S: Final = 60.0
ROUND_CHATS: Final = 200
NOWHERE: Final = UUID(int=0)
log = logging.getLogger("kefu.conversations")


class SilentChats(Protocol):
    async def silent(self, since: datetime, after: UUID, limit: int) -> list[SilentChat]:
        """Chats with a bot or a human in which nothing happened since then, in the order of their
        ids, behind `after`. Raises StoreUnavailable."""
        ...


class World(Struct, frozen=True):
    """`is_here` says whether a customer is connected; `tell` speaks to their conversation."""

    chats: SilentChats
    clock: Clock
    is_here: Callable[[UUID], bool]
    tell: Callable[[UUID, EndSilent], object]


class Cleanup:
    """`timeout_s` is how long a chat is silent before it may end, `every_s` how often one looks."""

    def __init__(self, world: World, *, timeout_s: float, every_s: float = ROUND_S) -> None:
        self._world = world
        self._timeout_s = timeout_s
        self._every_s = every_s
        self._after = NOWHERE

    async def run(self) -> None:
        """Round after round, for ever. One that fails is left out: the chats can wait."""
        while True:
            await anyio.sleep(self._every_s)
            try:
                await self.look()
            except StoreUnavailable:
                log.warning("silent_chats_unseen")
            except Exception:
                log.exception("cleanup_failed")

    async def look(self) -> None:
        """One round. Raises StoreUnavailable."""
        world = self._world
        since = world.clock.now() - timedelta(seconds=self._timeout_s)
        found = await world.chats.silent(since, self._after, ROUND_CHATS)
        self._after = found[-1].chat_id if len(found) == ROUND_CHATS else NOWHERE
        gone = [chat for chat in found if not world.is_here(chat.customer_id)]
        for chat in gone:
            world.tell(chat.customer_id, EndSilent(chat.chat_id, chat.seq, chat.log_id))
        if gone:
            log.info("silent_chats_found", extra={"count": len(gone)})
