"""Which conversation with the provider each session is in, and from when on its words count.

The row in PostgreSQL is the truth for all instances. The id is whatever the provider says. Where a
provider keeps no conversations it is a name that kefu makes for whoever asks for one, and a session
in which nobody did has no row: all it has said counts.
"""

from datetime import datetime
from typing import Final, Protocol

import anyio

from kefu.bot import store
from kefu.bot.ports import Context, ProviderError
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.instants import instant
from kefu.storage.database import DatabasePool, connected
from protocol.codes import ErrorCode

MAKE_WITHIN_S: Final = 15.0
NOT_NOW: Final = "The assistant cannot begin a conversation right now; please try again."
BEGINNING: Final = 0.0
"""A session that was never cleared: all it has said counts."""
NAMELESS: Final = Context("", BEGINNING)


class Maker(Protocol):
    async def new_conversation(self, session: str) -> str:
        """A fresh conversation's id. Raises ProviderError."""
        ...


class ProviderContexts:
    """Implements `messages.Contexts` for other features and `ports.Conversations` for a turn.

    `maker` is None for a provider that keeps no conversations.
    """

    def __init__(
        self, pool: DatabasePool, clock: Clock, entropy: Entropy, provider: str, maker: Maker | None
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._entropy = entropy
        self._provider = provider
        self._maker = maker

    async def new(self, session: str) -> str:
        """See `Contexts.new`."""
        try:
            with anyio.fail_after(MAKE_WITHIN_S):
                id = await self._made(session)
        except (ProviderError, TimeoutError):
            raise Problem(ErrorCode.OVERLOADED, NOT_NOW, retry_after_s=5.0) from None
        async with connected(self._pool) as connection:
            await store.restart(connection, session, self._provider, id, self._now())
        return id

    async def clear(self, session: str) -> str:
        """See `Contexts.clear`."""
        return await self.new(session)

    async def known(self, session: str) -> str | None:
        """The id of the session's conversation, if it has one. Raises StoreUnavailable."""
        async with connected(self._pool) as connection:
            context = await store.find(connection, session, self._provider)
        return None if context is None else context.conversation_id

    async def current(self, session: str, *, is_first: bool = False) -> Context:
        """See `Conversations.current`."""
        if is_first and self._maker is None:
            return NAMELESS
        async with connected(self._pool) as connection:
            context = await store.find(connection, session, self._provider)
        if context is not None:
            return context
        if self._maker is None:
            return NAMELESS
        id = await self._made(session)
        async with connected(self._pool) as connection:
            return await store.begin(
                connection,
                session,
                self._provider,
                id,
                since=instant(BEGINNING),
                now=self._now(),
            )

    async def renew(self, session: str, lost: Context) -> None:
        """See `Conversations.renew`."""
        id = await self._made(session)
        async with connected(self._pool) as connection:
            await store.replace(
                connection, session, self._provider, lost.conversation_id, id, self._now()
            )

    async def _made(self, session: str) -> str:
        if self._maker is None:
            return str(self._entropy.uuid())
        return await self._maker.new_conversation(session)

    def _now(self) -> datetime:
        return self._clock.now()
