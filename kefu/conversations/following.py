"""What other programs read of chats in Redis: it follows the truth, by up to FLUSH_EVERY_S.

PostgreSQL is the truth: what cannot be written here is left out, and losing all of it loses
nothing.
"""

import asyncio
import logging
from typing import Any, ClassVar, Final
from uuid import UUID

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.conversations.chat import Chat

FLUSH_EVERY_S: Final = 0.5
FLUSH_WITHIN_S: Final = 2.0
FLUSH_CHATS: Final = 1000
KEPT_CHATS: Final = 50_000
log = logging.getLogger("kefu.conversations")


class Follower:
    """Start `run()` in a task of its own. Subclasses say what of a chat is written where."""

    unwritten: ClassVar[str]
    """The log line that tells of what could not be written."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._changed: dict[UUID, Chat] = {}

    def id_of(self, chat: Chat) -> UUID:
        """Of two chats with one id only the newer is written."""
        raise NotImplementedError

    def write(self, pipe: Any, chat: Chat) -> None:
        """Queue what Redis is to hold of the chat."""
        raise NotImplementedError

    def note(self, chat: Chat) -> None:
        """The chat is like this now, and durable. Never waits; a newer note replaces an older."""
        id = self.id_of(chat)
        if id in self._changed or len(self._changed) < KEPT_CHATS:
            self._changed[id] = chat

    async def run(self) -> None:
        """Write what changed, again and again, for ever."""
        while True:
            await anyio.sleep(FLUSH_EVERY_S)
            while self._changed:
                try:
                    await self.flush()
                except (RedisError, OSError, TimeoutError):
                    log.warning(self.unwritten, extra={"count": len(self._changed)})
                    self._changed.clear()

    async def flush(self) -> None:
        """Write some of what changed. Raises RedisError, OSError or TimeoutError, and then keeps
        nothing of it: the next change writes the chat anew."""
        some = [self._changed.pop(id) for id in list(self._changed)[:FLUSH_CHATS]]
        if not some:
            return
        async with asyncio.timeout(FLUSH_WITHIN_S), self._redis.pipeline(transaction=False) as pipe:
            for chat in some:
                self.write(pipe, chat)
            await pipe.execute()
