"""Sessions as JSON in Redis, for other programs that read them there: `session:<session name>`.

Nobody here reads this back. It is told of every durable change of a chat by the conversations, so
that it holds sessions of sockets, too; that is why it stands here and not with the facade.
"""

from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from kefu.clock import Clock
from kefu.conversations.chat import Chat
from kefu.conversations.following import Follower
from kefu.conversations.sessions.names import name_of


def key_of(name: str) -> str:
    return f"session:{name}"


class SessionMirror(Follower):
    """`expire_s` is how long a silent session stays."""

    unwritten = "sessions_unwritten"

    def __init__(self, redis: "Redis", clock: Clock, expire_s: int) -> None:
        super().__init__(redis)
        self._clock = clock
        self._expire_s = expire_s

    def id_of(self, chat: Chat) -> UUID:
        return chat.customer.id

    def write(self, pipe: Any, chat: Chat) -> None:
        customer = chat.customer
        name = name_of(customer.id, customer.sub, is_guest=customer.is_guest)
        now = self._clock.now().timestamp()
        pipe.set(key_of(name), msgspec.json.encode(_shown(name, chat, now)), ex=self._expire_s)


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
