"""Live chats as Redis hashes, for whoever must read a chat's state at once.

`chat:<chat id>` holds what a glance needs. It follows the truth by up to FLUSH_EVERY_S, expires
after so long without activity, and goes when the chat ends. PostgreSQL is the truth: what cannot be
written here is left out, and losing all of it loses nothing.
"""

import asyncio
import logging
from typing import Any, Final
from uuid import UUID

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.conversations.chat import STATUS, Chat

FLUSH_EVERY_S: Final = 0.5
FLUSH_WITHIN_S: Final = 2.0
FLUSH_CHATS: Final = 1000
KEPT_CHATS: Final = 50_000
log = logging.getLogger("kefu.conversations")


def key_of(chat_id: UUID) -> str:
    return f"chat:{chat_id}"


class LiveChats:
    """Start `run()` in a task of its own. `expire_s` is how long a silent chat stays."""

    def __init__(self, redis: "Redis", expire_s: int) -> None:
        self._redis = redis
        self._expire_s = expire_s
        self._changed: dict[UUID, Chat] = {}

    def note(self, chat: Chat) -> None:
        """The chat is like this now, and durable. Never waits; a newer note replaces an older."""
        if chat.chat_id in self._changed or len(self._changed) < KEPT_CHATS:
            self._changed[chat.chat_id] = chat

    async def run(self) -> None:
        """Write what changed, again and again, for ever."""
        while True:
            await anyio.sleep(FLUSH_EVERY_S)
            while self._changed:
                try:
                    await self.flush()
                except (RedisError, OSError, TimeoutError):
                    log.warning("live_chats_unwritten", extra={"count": len(self._changed)})
                    self._changed.clear()

    async def flush(self) -> None:
        """Write some of what changed. Raises RedisError, OSError or TimeoutError, and then keeps
        nothing of it: the next change writes the chat anew."""
        some = [self._changed.pop(id) for id in list(self._changed)[:FLUSH_CHATS]]
        if not some:
            return
        async with asyncio.timeout(FLUSH_WITHIN_S), self._redis.pipeline(transaction=False) as pipe:
            for chat in some:
                key = key_of(chat.chat_id)
                if chat.is_open:
                    pipe.hset(key, mapping=_fields(chat))
                    pipe.expire(key, self._expire_s)
                else:
                    pipe.delete(key)
            await pipe.execute()


def _fields(chat: Chat) -> dict[Any, Any]:
    """All of them each time, so that none of an earlier state stays."""
    return {
        "chat_id": str(chat.chat_id),
        "customer_id": str(chat.customer.id),
        "status": STATUS[chat.phase],
        "agent_id": str(chat.agent.id) if chat.agent else "",
        "agent_name": chat.agent.name if chat.agent else "",
        "team_id": str(chat.team_id) if chat.team_id else "",
        "topic": chat.topic or "",
        "last_seq": chat.seq,
        "started_at": chat.opened_at,
        "waiting_since": chat.waiting_since or "",
    }
