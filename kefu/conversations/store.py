"""Reading chats and their messages from PostgreSQL. What is written stands in rows.py."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from kefu.conversations.chat import STATUS, Chat
from kefu.conversations.keys import WINDOW, Known, fingerprint
from kefu.conversations.parties import AgentSeat, Customer, Phase
from kefu.conversations.ports import SilentChat, StoredChat
from kefu.storage.database import Connection, DatabasePool, connected
from protocol.server import Message

PHASE: Final[dict[str, Phase]] = {status: phase for phase, status in STATUS.items()}

_CHAT_COLUMNS: Final = """
SELECT c.*, u.sub, u.is_guest, u.name, u.email, u.phone, u.locale, u.is_vip, u.is_signed,
       coalesce((SELECT max(m.seq) FROM chat_messages m WHERE m.chat_id = c.id), 0) AS head_seq,
       coalesce((
           SELECT m.seq FROM chat_messages m WHERE m.chat_id = c.id AND m.sender_type = 'customer'
           ORDER BY m.seq DESC LIMIT 1
       ), 0) AS asked_seq,
       least((SELECT min(e.log_id) FROM chat_events e WHERE e.chat_id = c.id), 0) AS unseen_head
FROM chats c JOIN customers u ON u.id = c.customer_id
"""
LATEST_CHAT: Final = (
    _CHAT_COLUMNS
    + """
WHERE c.customer_id = $1
ORDER BY c.status = 'ended', c.started_at DESC, c.id DESC LIMIT 1
"""
)
ONE_CHAT: Final = _CHAT_COLUMNS + " WHERE c.id = $1"
WAITING_CHATS: Final = _CHAT_COLUMNS + " WHERE c.status = 'waiting' ORDER BY c.waiting_since"
ACTIVE_CHATS: Final = "SELECT id, customer_id FROM chats WHERE agent_id = $1 AND status = 'active'"
BUSY_AGENTS: Final = "SELECT DISTINCT agent_id FROM chats WHERE status = 'active'"
SILENT_CHATS: Final = """
SELECT c.id, c.customer_id, c.log_head, coalesce(m.seq, 0) AS seq
FROM chats c
LEFT JOIN LATERAL (
    SELECT seq, created_at FROM chat_messages WHERE chat_id = c.id ORDER BY seq DESC LIMIT 1
) m ON true
WHERE c.status IN ('bot', 'active') AND c.id > $2
  AND greatest(c.started_at, c.taken_at, m.created_at) < $1
ORDER BY c.id LIMIT $3
"""
HEADS: Final = """
SELECT c.id, c.customer_id, c.agent_id, c.status,
       coalesce((SELECT max(m.seq) FROM chat_messages m WHERE m.chat_id = c.id), 0) AS seq,
       c.status = 'bot' AND EXISTS (
           SELECT FROM chat_messages m
           WHERE m.chat_id = c.id AND m.seq > c.answered_seq AND m.sender_type = 'customer'
       ) AS is_unanswered
FROM (
    SELECT * FROM chats WHERE customer_id = ANY($1::uuid[]) AND status <> 'ended'
    UNION
    SELECT * FROM chats WHERE agent_id = ANY($2::uuid[]) AND status = 'active'
    UNION
    SELECT * FROM chats WHERE id = ANY($3::uuid[]) AND status <> 'ended'
) AS c
"""
CHAT_OWNER: Final = "SELECT customer_id FROM chats WHERE id = $1"
RECENT_KEYS: Final = """
SELECT m.* FROM chat_messages m JOIN chats c ON c.id = m.chat_id
WHERE c.customer_id = $1 AND m.client_message_id IS NOT NULL
ORDER BY c.started_at DESC, m.seq DESC LIMIT $2
"""
SENT_UNDER_KEY: Final = """
SELECT * FROM chat_messages WHERE chat_id = $1 AND sender_id = $2 AND client_message_id = $3
"""
MESSAGES_BETWEEN: Final = """
SELECT * FROM chat_messages WHERE chat_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4
"""


class PostgresChats:
    """The reading side of conversations; see ports.Chats for what each call promises."""

    def __init__(self, pool: DatabasePool) -> None:
        self._pool = pool

    async def latest(self, customer_id: UUID) -> StoredChat | None:
        async with connected(self._pool) as connection:
            return await load_latest(connection, customer_id)

    async def chat(self, chat_id: UUID) -> StoredChat | None:
        async with connected(self._pool) as connection:
            return await load_chat(connection, chat_id)

    async def keys(self, customer_id: UUID) -> list[tuple[UUID, str, Known]]:
        async with connected(self._pool) as connection:
            return await load_keys(connection, customer_id)

    async def sent(self, chat_id: UUID, sender_id: UUID, key: str) -> Known | None:
        async with connected(self._pool) as connection:
            return await find_sent(connection, chat_id, sender_id, key)

    async def heads(
        self, customer_ids: Iterable[UUID], agent_ids: Iterable[UUID], chat_ids: Iterable[UUID]
    ) -> list[tuple[UUID, UUID, UUID | None, str, int, bool]]:
        """Where open chats stand: (chat, customer, agent, status, seq, is unanswered). See
        heads.HeadReader."""
        async with connected(self._pool) as connection:
            ids = (list(customer_ids), list(agent_ids), list(chat_ids))
            rows = await connection.fetch(HEADS, *ids)
            return [tuple(row) for row in rows]

    async def owner(self, chat_id: UUID) -> UUID | None:
        async with connected(self._pool) as connection:
            return await find_owner(connection, chat_id)

    async def messages(self, chat_id: UUID, *, after: int, until: int, limit: int) -> list[Message]:
        async with connected(self._pool) as connection:
            return await load_messages(connection, chat_id, after=after, until=until, limit=limit)

    async def waiting(self) -> list[Chat]:
        async with connected(self._pool) as connection:
            return await load_waiting(connection)

    async def busy_agents(self) -> list[UUID]:
        """Who is in charge of a chat."""
        async with connected(self._pool) as connection:
            return [record["agent_id"] for record in await connection.fetch(BUSY_AGENTS)]

    async def silent(self, since: datetime, after: UUID, limit: int) -> list[SilentChat]:
        async with connected(self._pool) as connection:
            return await load_silent(connection, since, after, limit)

    async def active(self, agent_id: UUID) -> dict[UUID, UUID]:
        async with connected(self._pool) as connection:
            return await load_active(connection, agent_id)


async def load_latest(connection: Connection, customer_id: UUID) -> StoredChat | None:
    record = await connection.fetchrow(LATEST_CHAT, customer_id)
    return _stored_chat(record) if record else None


async def load_chat(connection: Connection, chat_id: UUID) -> StoredChat | None:
    record = await connection.fetchrow(ONE_CHAT, chat_id)
    return _stored_chat(record) if record else None


async def load_waiting(connection: Connection) -> list[Chat]:
    """Every chat that waits for a human, the longest wait first."""
    return [_stored_chat(record).chat for record in await connection.fetch(WAITING_CHATS)]


async def load_active(connection: Connection, agent_id: UUID) -> dict[UUID, UUID]:
    """The chats this agent is in charge of: chat id to customer id."""
    return {r["id"]: r["customer_id"] for r in await connection.fetch(ACTIVE_CHATS, agent_id)}


async def load_silent(
    connection: Connection, since: datetime, after: UUID, limit: int
) -> list[SilentChat]:
    """See cleanup.SilentChats. What counts is a message, the start, and an agent who came."""
    records = await connection.fetch(SILENT_CHATS, since, after, limit)
    return [SilentChat(r["id"], r["customer_id"], r["seq"], r["log_head"]) for r in records]


async def find_owner(connection: Connection, chat_id: UUID) -> UUID | None:
    """The customer whose chat this is. Never changes."""
    owner: UUID | None = await connection.fetchval(CHAT_OWNER, chat_id)
    return owner


async def load_keys(connection: Connection, customer_id: UUID) -> list[tuple[UUID, str, Known]]:
    """The conversation's latest sends with a key, the oldest of them first."""
    records = await connection.fetch(RECENT_KEYS, customer_id, WINDOW)
    return [(r["sender_id"], r["client_message_id"], _known(r)) for r in reversed(records)]


async def find_sent(
    connection: Connection, chat_id: UUID, sender_id: UUID, key: str
) -> Known | None:
    record = await connection.fetchrow(SENT_UNDER_KEY, chat_id, sender_id, key)
    return _known(record) if record else None


async def load_messages(
    connection: Connection, chat_id: UUID, *, after: int, until: int, limit: int
) -> list[Message]:
    """The public messages with after < seq <= until, in order."""
    records = await connection.fetch(MESSAGES_BETWEEN, chat_id, after, until, limit)
    return [_message(record) for record in records]


def _seconds(record: Any, column: str) -> float | None:
    value = record[column]
    return None if value is None else float(value.timestamp())


def _stored_chat(record: Any) -> StoredChat:
    seat = None
    if record["agent_id"] is not None:
        seat = AgentSeat(record["agent_id"], record["agent_name"] or "", record["agent_avatar"])
    phase = PHASE[record["status"]]
    chat = Chat(
        chat_id=record["id"],
        customer=Customer(
            id=record["customer_id"],
            sub=record["sub"],
            name=record["name"],
            email=record["email"],
            phone=record["phone"],
            locale=record["locale"],
            is_vip=record["is_vip"],
            is_guest=record["is_guest"],
            is_signed=record["is_signed"],
        ),
        phase=phase,
        opened_at=record["started_at"].timestamp(),
        began_with_bot=record["began_with_bot"],
        seq=record["head_seq"],
        log_id=record["log_head"],
        unseen_id=record["unseen_head"],
        agent=seat if phase == "manual_live" else None,
        served_by=seat,
        topic=record["topic"],
        order_id=record["order_id"],
        waiting_since=_seconds(record, "waiting_since"),
        reason=record["reason"],
        taken_at=_seconds(record, "taken_at"),
        ended_at=_seconds(record, "ended_at"),
        rating=record["rating"],
        feedback=record["feedback"],
        team_id=record["team_id"],
        asked_seq=record["asked_seq"],
        answered_seq=record["answered_seq"],
        bot_failures=record["bot_failures"],
        after_hours_at=_seconds(record, "after_hours_at"),
        contact_email=record["contact_email"],
    )
    return StoredChat(chat, record["customer_read_seq"], record["agent_read_seq"])


def _known(record: Any) -> Known:
    return Known(
        chat_id=record["chat_id"],
        message_id=record["message_id"],
        seq=record["seq"],
        at=record["created_at"].timestamp(),
        fingerprint=fingerprint(record["content"], record["message_type"]),
    )


def _message(record: Any) -> Message:
    return Message(
        chat_id=record["chat_id"],
        message_id=record["message_id"],
        seq=record["seq"],
        sender_type=record["sender_type"],
        content=record["content"],
        timestamp=record["created_at"],
        message_type=record["message_type"],
        sender_id=record["sender_id"],
        sender_name=record["sender_name"],
        client_message_id=record["client_message_id"],
    )
