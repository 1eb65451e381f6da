"""Sessions as JSON in Redis, for other programs that read them there: `session:<session name>`.

Best effort, like live.py beside it: PostgreSQL is the truth and nobody here reads this back. It is
told of every durable change of a chat by the conversations, so that it holds sessions of sockets,
too; that is why it stands here and not with the facade.
"""

import asyncio
import logging
from typing import Any, Final
from uuid import UUID

import anyio
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.clock import Clock
from kefu.conversations.chat import Chat
from kefu.conversations.sessions.names import name_of

FLUSH_EVERY_S: Final = 0.5
FLUSH_WITHIN_S: Final = 2.0
FLUSH_SESSIONS: Final = 1000
KEPT_SESSIONS: Final = 50_000
log = logging.getLogger("kefu.conversations")


def key_of(name: str) -> str:
    return f"session:{name}"


class SessionMirror:
    """Start `run()` in a task of its own. `expire_s` is how long a silent session stays."""

    def __init__(self, redis: "Redis", clock: Clock, expire_s: int) -> None:
        self._redis = redis
        self._clock = clock
        self._expire_s = expire_s
        self._changed: dict[UUID, Chat] = {}
        """By customer."""

    def note(self, chat: Chat) -> None:
        """The chat is like this now, and durable. Never waits; a newer note replaces an older."""
        customer_id = chat.customer.id
        if customer_id in self._changed or len(self._changed) < KEPT_SESSIONS:
            self._changed[customer_id] = chat

    async def run(self) -> None:
        """Write what changed, again and again, for ever."""
        while True:
            await anyio.sleep(FLUSH_EVERY_S)
            while self._changed:
                try:
                    await self.flush()
                except (RedisError, OSError, TimeoutError):
                    log.warning("sessions_unwritten", extra={"count": len(self._changed)})
                    self._changed.clear()

    async def flush(self) -> None:
        """Write some of what changed. Raises RedisError, OSError or TimeoutError, and then keeps
        nothing of it: the next change writes the session anew."""
        some = [self._changed.pop(id) for id in list(self._changed)[:FLUSH_SESSIONS]]
        if not some:
            return
        now = self._clock.now().timestamp()
        async with asyncio.timeout(FLUSH_WITHIN_S), self._redis.pipeline(transaction=False) as pipe:
            for chat in some:
                customer = chat.customer
                name = name_of(customer.id, customer.sub, is_guest=customer.is_guest)
                value = msgspec.json.encode(_shown(name, chat, now))
                pipe.set(key_of(name), value, ex=self._expire_s)
            await pipe.execute()


def _shown(name: str, chat: Chat, now: float) -> dict[str, Any]:
    """Nothing personal: whoever reads Redis asks kefu for that."""
    customer, is_humans = chat.customer, chat.phase in ("pending_manual", "manual_live")
    return {
        "session_id": name,
        "user_id": str(customer.id) if customer.is_guest else customer.sub,
        "agent_type": "human" if is_humans else "ai",
        "metadata": {
            "chat_id": str(chat.chat_id),
            "agent_id": str(chat.agent.id) if chat.agent else None,
            "is_vip": chat.customer.is_vip,
        },
        "context": {"status": chat.phase, "topic": chat.topic, "last_seq": chat.seq},
        "created_at": chat.opened_at,
        "updated_at": now,
    }
