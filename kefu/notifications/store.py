"""The SQL of mails: what chats make due, who sends it, and what came of it.

A claim is committed before anything is sent, with the attempt counted: whoever dies while sending
leaves a mail that others find when the claim has run out, and that no one tries for ever.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from msgspec import Struct, structs

from kefu.notifications.messages import MailKind, MailRecord, MailState
from kefu.notifications.state import Alert
from kefu.storage.database import Connection

DERIVED_AT_ONCE: Final = 200
TRANSCRIPT_MESSAGES: Final = 200


class Mail(Struct, frozen=True):
    """A mail that is this instance's to send until `claimed_until`."""

    id: UUID
    kind: MailKind
    chat_id: UUID | None
    log_id: int | None
    alert: dict[str, Any] | None
    message_id: str
    state: MailState
    attempts: int
    claimed_until: datetime
    until_seq: int | None
    address_log_id: int | None
    delivered: tuple[str, ...]
    created_at: datetime


class Occasion(Struct, frozen=True):
    """The event of the chat that a mail is sent for."""

    kind: str
    reason: str | None
    body: dict[str, Any]
    at: datetime


class ChatFacts(Struct, frozen=True):
    """What a mail says about a chat and its customer. `left_email`: written in this chat."""

    name: str | None
    email: str | None
    locale: str | None
    is_vip: bool
    left_email: str | None
    message_count: int


class MessageLine(Struct, frozen=True):
    sender_type: str
    sender_name: str | None
    content: str
    at: datetime


DERIVE_ESCALATED: Final = """
INSERT INTO mails (kind, chat_id, log_id, message_id, due_at, created_at)
SELECT 'escalated', e.chat_id, e.log_id, e.chat_id::text || '.' || e.log_id::text || '@' || $4,
    e.created_at + $3::interval, $1
FROM chat_events AS e
WHERE e.kind = 'AskedAfterHours' AND e.created_at > $2
    AND NOT EXISTS (SELECT FROM mails WHERE chat_id = e.chat_id AND log_id = e.log_id)
ORDER BY e.created_at LIMIT $5
ON CONFLICT DO NOTHING
RETURNING id
"""

# An address is on its way when a mail carries it or is yet to be written; else it gets its own.
DERIVE_ADDRESSES: Final = """
INSERT INTO mails (kind, chat_id, log_id, message_id, due_at, created_at)
SELECT
    CASE WHEN EXISTS (
        SELECT FROM chat_events
        WHERE chat_id = e.chat_id AND kind = 'AskedAfterHours' AND log_id < e.log_id
    ) THEN 'address' ELSE 'escalated' END,
    e.chat_id, e.log_id, e.chat_id::text || '.' || e.log_id::text || '@' || $3, $1, $1
FROM chat_events AS e
WHERE e.kind = 'EmailLeft' AND e.created_at > $2
    AND NOT EXISTS (
        SELECT FROM mails AS m
        WHERE m.chat_id = e.chat_id
            AND (m.log_id = e.log_id OR m.address_log_id >= e.log_id
                OR (m.attempts = 0 AND m.due_at IS NOT NULL))
    )
ORDER BY e.created_at LIMIT $4
ON CONFLICT DO NOTHING
RETURNING id
"""

HASTEN: Final = """
UPDATE mails SET due_at = $1
WHERE kind = 'escalated' AND attempts = 0 AND due_at > $1
    AND EXISTS (SELECT FROM chat_events WHERE chat_id = mails.chat_id AND kind = 'EmailLeft')
"""


async def derive(
    connection: Connection, now: datetime, *, since: datetime, patience: timedelta, domain: str
) -> bool:
    """Make mails of what happened since then and has none; False when more than so many are left.

    `patience` is how long an escalation waits for the customer's address. Any number may do this at
    once.
    """
    found = await connection.fetch(DERIVE_ESCALATED, now, since, patience, domain, DERIVED_AT_ONCE)
    is_all = len(found) < DERIVED_AT_ONCE  # else an address could overtake its own escalation
    if is_all:
        left = await connection.fetch(DERIVE_ADDRESSES, now, since, domain, DERIVED_AT_ONCE)
        is_all = len(left) < DERIVED_AT_ONCE
    await connection.execute(HASTEN, now)
    return is_all


LOCK_CHAT: Final = "SELECT pg_advisory_xact_lock(1835101548, hashtext($1::text))"  # "mail"
CHAT_EXISTS: Final = "SELECT EXISTS (SELECT FROM chats WHERE id = $1)"
LAST_REQUEST: Final = """
SELECT max(created_at) FROM mails WHERE chat_id = $1 AND kind = 'requested'
"""
INSERT_REQUESTED: Final = """
INSERT INTO mails (id, kind, chat_id, message_id, due_at, created_at)
VALUES ($1, 'requested', $2, $3, $4, $4)
"""


async def lock_chat(connection: Connection, chat_id: UUID) -> bool:
    """Whether there is such a chat; no other mail is asked for it until the transaction ends."""
    await connection.execute(LOCK_CHAT, str(chat_id))
    exists: bool = await connection.fetchval(CHAT_EXISTS, chat_id)
    return exists


async def last_request(connection: Connection, chat_id: UUID) -> datetime | None:
    """When a mail of the chat was last asked for by hand."""
    at: datetime | None = await connection.fetchval(LAST_REQUEST, chat_id)
    return at


async def insert_requested(
    connection: Connection, id: UUID, chat_id: UUID, message_id: str, now: datetime
) -> None:
    await connection.execute(INSERT_REQUESTED, id, chat_id, message_id, now)


INSERT_ALERT: Final = """
INSERT INTO mails (id, kind, alert, message_id, due_at, created_at)
VALUES ($1, 'alert', $2, $3, $4, $4)
"""


async def insert_alert(
    connection: Connection, id: UUID, alert: Alert, message_id: str, now: datetime
) -> None:
    await connection.execute(INSERT_ALERT, id, structs.asdict(alert), message_id, now)


CLAIM: Final = """
UPDATE mails SET
    -- a claim that ran out belonged to someone who may have sent it
    state = CASE WHEN claimed_until IS NULL THEN state ELSE 'unknown' END,
    attempts = attempts + 1,
    claimed_until = $2,
    until_seq = CASE WHEN attempts = 0
        THEN (SELECT max(seq) FROM chat_messages WHERE chat_id = mails.chat_id)
        ELSE until_seq END,
    address_log_id = CASE WHEN attempts = 0
        THEN (
            SELECT max(log_id) FROM chat_events
            WHERE chat_id = mails.chat_id AND kind = 'EmailLeft'
        )
        ELSE address_log_id END
WHERE id = (
    SELECT id FROM mails
    WHERE due_at <= $1 AND attempts < $3 AND (claimed_until IS NULL OR claimed_until <= $1)
    ORDER BY due_at LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, kind, chat_id, log_id, alert, message_id, state, attempts, claimed_until, until_seq,
    address_log_id, delivered, created_at
"""


async def claim(
    connection: Connection, now: datetime, until: datetime, most_attempts: int
) -> Mail | None:
    """The mail that has been due for longest and that nobody is sending; nobody else gets it."""
    row = await connection.fetchrow(CLAIM, now, until, most_attempts)
    return None if row is None else Mail(**_fields(row, delivered=tuple(row["delivered"])))


RECORD: Final = """
UPDATE mails SET
    state = $3, due_at = $4, claimed_until = NULL, delivered = $5, failure = $6, sent_at = $7
WHERE id = $1 AND attempts = $2
"""


async def record(
    connection: Connection,
    mail: Mail,
    state: MailState,
    *,
    due_at: datetime | None,
    delivered: tuple[str, ...],
    failure: str | None,
    sent_at: datetime | None,
) -> None:
    """What came of an attempt; nothing if somebody else has tried since."""
    await connection.execute(
        RECORD, mail.id, mail.attempts, state, due_at, delivered, failure, sent_at
    )


SETTLE: Final = """
UPDATE mails SET state = 'unknown', due_at = NULL, claimed_until = NULL
WHERE due_at IS NOT NULL AND attempts >= $2 AND claimed_until <= $1
"""
PRUNE: Final = "DELETE FROM mails WHERE created_at < $1 AND due_at IS NULL"


async def settle(connection: Connection, now: datetime, most_attempts: int) -> None:
    """Give up mails whose last sender died."""
    await connection.execute(SETTLE, now, most_attempts)


async def prune(connection: Connection, before: datetime) -> None:
    await connection.execute(PRUNE, before)


CHAT_FACTS: Final = """
SELECT c.name, c.email, c.locale, c.is_vip,
    (
        SELECT e.body ->> 'email' FROM chat_events AS e
        WHERE e.chat_id = chats.id AND e.kind = 'EmailLeft' AND e.log_id <= $2
        ORDER BY e.log_id DESC LIMIT 1
    ) AS left_email,
    (SELECT count(*) FROM chat_messages WHERE chat_id = chats.id AND seq <= $3) AS message_count
FROM chats JOIN customers AS c ON c.id = chats.customer_id
WHERE chats.id = $1
"""


async def chat_facts(
    connection: Connection, chat_id: UUID, address_log_id: int | None, until_seq: int | None
) -> ChatFacts | None:
    """None when the chat is gone."""
    row = await connection.fetchrow(CHAT_FACTS, chat_id, address_log_id, until_seq)
    return None if row is None else ChatFacts(**_fields(row))


OCCASION: Final = """
SELECT kind, reason, body, created_at AS at FROM chat_events WHERE chat_id = $1 AND log_id = $2
"""


async def occasion(connection: Connection, chat_id: UUID, log_id: int) -> Occasion | None:
    row = await connection.fetchrow(OCCASION, chat_id, log_id)
    return None if row is None else Occasion(**_fields(row, body=row["body"] or {}))


TRANSCRIPT: Final = """
SELECT sender_type, sender_name, created_at AS at,
       CASE message_type WHEN 'product' THEN '[product]' ELSE content END AS content
FROM chat_messages
WHERE chat_id = $1 AND seq <= $2
ORDER BY seq DESC LIMIT $3
"""


async def transcript(
    connection: Connection, chat_id: UUID, until_seq: int | None
) -> tuple[MessageLine, ...]:
    """The last public messages, the oldest of them first."""
    rows = await connection.fetch(TRANSCRIPT, chat_id, until_seq, TRANSCRIPT_MESSAGES)
    return tuple(MessageLine(**_fields(row)) for row in reversed(rows))


EARLIER: Final = """
SELECT message_id FROM mails
WHERE chat_id = $1 AND kind = 'escalated' AND log_id < $2
ORDER BY log_id DESC LIMIT 1
"""


async def earlier_message_id(connection: Connection, chat_id: UUID, log_id: int) -> str | None:
    """The mail that this one belongs behind."""
    found: str | None = await connection.fetchval(EARLIER, chat_id, log_id)
    return found


OF_CHAT: Final = """
SELECT id, kind, state, attempts, created_at, sent_at FROM mails
WHERE chat_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2
"""


async def mails_of_chat(
    connection: Connection, chat_id: UUID, limit: int
) -> tuple[MailRecord, ...]:
    """The newest first."""
    return tuple(
        MailRecord(**_fields(row)) for row in await connection.fetch(OF_CHAT, chat_id, limit)
    )


WAITING: Final = """
SELECT count(*) AS count, min(waiting_since) AS since FROM chats WHERE status = 'waiting'
"""


async def waiting(connection: Connection) -> tuple[int, datetime | None]:
    """How many customers wait for a human, and since when the first of them."""
    row = await connection.fetchrow(WAITING)
    assert row is not None  # an aggregate has one row
    return row["count"], row["since"]


def _fields(row: asyncpg.Record, **others: Any) -> dict[str, Any]:
    return {**dict(row), **others}
