"""Live chats as Redis hashes, for whoever must read a chat's state at once.

`chat:<chat id>` holds what a glance needs. It expires after so long without activity, and goes when
the chat ends.
"""

from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from kefu.conversations.chat import STATUS, Chat
from kefu.conversations.following import Follower


def key_of(chat_id: UUID) -> str:
    return f"chat:{chat_id}"


class LiveChats(Follower):
    """`expire_s` is how long a silent chat stays."""

    unwritten = "live_chats_unwritten"

    def __init__(self, redis: "Redis", expire_s: int) -> None:
        super().__init__(redis)
        self._expire_s = expire_s

    def id_of(self, chat: Chat) -> UUID:
        return chat.chat_id

    def write(self, pipe: Any, chat: Chat) -> None:
        key = key_of(chat.chat_id)
        if chat.is_open:
            pipe.hset(key, mapping=_fields(chat))
            pipe.expire(key, self._expire_s)
        else:
            pipe.delete(key)


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
