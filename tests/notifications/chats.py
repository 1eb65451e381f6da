"""Chats as the journal leaves them in PostgreSQL, written by hand."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from kefu.storage.database import DatabasePool, connected

CUSTOMER = """
INSERT INTO customers (id, sub, name, email, locale, is_vip) VALUES ($1, $2, $3, $4, $5, $6)
"""
CHAT = """
INSERT INTO chats (
    id, customer_id, slot, epoch, status, began_with_bot, log_head, started_at, waiting_since
) VALUES ($1, $2, 1, 1, $3, true, 1, $4, $5)
"""
MESSAGE = """
INSERT INTO chat_messages (
    chat_id, seq, message_id, sender_type, sender_name, content, message_type, epoch, created_at
) VALUES ($1, $2, $3, $4, $5, $6, 'text', 1, $7)
"""
EVENT = """
INSERT INTO chat_events (chat_id, log_id, kind, by_type, reason, body, epoch, created_at)
VALUES ($1, $2, $3, 'customer', $4, $5, 1, $6)
"""


class StoredChat:
    """One chat. Events and messages are numbered as they are added."""

    def __init__(self, pool: DatabasePool, at: datetime) -> None:
        self.id = uuid4()
        self.at = at
        self._pool = pool
        self._seq = 0
        self._log_id = 0

    async def open(
        self,
        *,
        status: str = "bot",
        name: str | None = "王小明",
        email: str | None = None,
        locale: str | None = "zh-CN",
        is_vip: bool = False,
    ) -> "StoredChat":
        owner, since = uuid4(), self.at if status == "waiting" else None
        async with connected(self._pool) as connection:
            await connection.execute(CUSTOMER, owner, str(owner), name, email, locale, is_vip)
            await connection.execute(CHAT, self.id, owner, status, self.at, since)
        return self

    async def say(self, content: str, by: str = "customer", name: str | None = None) -> None:
        self._seq += 1
        async with connected(self._pool) as connection:
            await connection.execute(
                MESSAGE, self.id, self._seq, uuid4(), by, name, content, self.at
            )

    async def ask_after_hours(self, at: datetime, reason: str = "keyword", **body: Any) -> None:
        body = {"severity": "high", "details": ["人工"], "next_start": None, **body}
        await self._add("AskedAfterHours", at, reason, body)

    async def leave_email(self, at: datetime, email: str) -> None:
        await self._add("EmailLeft", at, None, {"email": email})

    async def _add(
        self, kind: str, at: datetime, reason: str | None, body: dict[str, Any] | None
    ) -> None:
        self._log_id += 1
        async with connected(self._pool) as connection:
            await connection.execute(EVENT, self.id, self._log_id, kind, reason, body, at)


async def end(pool: DatabasePool, chat_id: UUID) -> None:
    """As when the customer's data are erased."""
    async with connected(pool) as connection:
        await connection.execute("DELETE FROM chats WHERE id = $1", chat_id)
