"""Reading sessions: a customer's open chat, else the last one, with what agents see beside it.

Lists are put in order here, but for those who wait: their order is the queue's, which the caller
brings along as ids.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from msgspec import Struct

from kefu.conversations.chat import Chat
from kefu.conversations.sessions.names import name_of
from kefu.conversations.store import load_chat, load_messages, load_waiting
from kefu.storage.database import DatabasePool, connected
from protocol.facade import SessionStatus
from protocol.server import ChatStatusName, Message
from protocol.sessions import CustomerType

Sort = Literal["default", "newest", "oldest", "vip", "waitTime"]
Scope = Literal["open", "closed", "all"]
COUNTED: Final = 10_000
HISTORY: Final = 50
TRAIL: Final = 200
STATUS: Final[dict[SessionStatus, ChatStatusName]] = {
    "bot_active": "bot",
    "pending_manual": "waiting",
    "manual_live": "active",
    "closed": "ended",
}
PHASE: Final[dict[str, SessionStatus]] = {status: phase for phase, status in STATUS.items()}


class KnownCustomer(Struct, frozen=True):
    id: UUID
    sub: str
    is_guest: bool
    is_signed: bool


class Called(Struct, frozen=True):
    """Why a human was called last in this chat. Times are aware datetimes."""

    reason: str | None
    at: datetime
    body: dict[str, Any] | None


class Seat(Struct, frozen=True):
    id: UUID
    name: str
    avatar_url: str | None
    taken_at: datetime | None


class Session(Struct, frozen=True):
    """A session as it is stored. `agent` is there while one is in charge."""

    name: str
    chat_id: UUID
    customer_id: UUID
    sub: str
    customer_name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    is_vip: bool
    is_guest: bool
    customer_type: CustomerType
    phase: SessionStatus
    agent: Seat | None
    called: Called | None
    topic: str | None
    last_message: str | None
    head_seq: int
    created_at: datetime
    updated_at: datetime
    waiting_since: datetime | None


class Transition(Struct, frozen=True):
    """One line of the audit trail."""

    action: str
    from_phase: SessionStatus
    to_phase: SessionStatus
    by_type: str
    by_id: UUID | None
    by_name: str | None
    reason: str | None
    at: datetime


class Filter(Struct, frozen=True):
    """What a list is to hold; what is left out, anything within the scope. A keyword is looked for
    in names and topics, and in what was said in open chats."""

    scope: Scope = "open"
    phase: SessionStatus | None = None
    agent_id: UUID | None = None
    is_unassigned: bool = False
    customer_type: CustomerType | None = None
    keyword: str | None = None
    since: datetime | None = None
    until: datetime | None = None


# $1..$7: see Filter. A query for each scope, because PostgreSQL finds the few open chats by an
# index only where the query itself says that they are open.
_CUSTOMER_TYPE: Final = """
CASE WHEN u.is_vip THEN 'vip'
     WHEN EXISTS (SELECT FROM chats o WHERE o.customer_id = c.customer_id AND o.id <> c.id)
     THEN 'old' ELSE 'new' END
"""
_CHATS: Final = " FROM chats c JOIN customers u ON u.id = c.customer_id "
_IS_LAST: Final = """
NOT EXISTS (
    SELECT FROM chats n WHERE n.customer_id = c.customer_id
    AND (n.status <> 'ended' OR (n.started_at, n.id) > (c.started_at, c.id)))
"""
_SCOPES: Final[dict[Scope, str]] = {
    "open": "WHERE c.status <> 'ended'",
    "closed": "WHERE c.status = 'ended' AND" + _IS_LAST,
    "all": "WHERE (c.status <> 'ended' OR" + _IS_LAST + ")",
}
_WANTED: Final = (
    """
  AND ($1::text IS NULL OR c.status = $1)
  AND ($2::uuid IS NULL OR (c.agent_id = $2 AND c.status IN ('active', 'ended')))
  AND (NOT $3::boolean OR c.status IN ('bot', 'waiting'))
  AND ($4::text IS NULL OR $4 = """
    + _CUSTOMER_TYPE
    + """)
  AND ($5::text IS NULL
    OR position($5 IN lower(concat_ws(' ', u.sub, u.name, c.topic, c.reason))) > 0
    OR (c.status <> 'ended' AND EXISTS (
        SELECT FROM chat_messages m
        WHERE m.chat_id = c.id AND position($5 IN lower(m.content)) > 0)))
  AND ($6::timestamptz IS NULL OR c.started_at >= $6)
  AND ($7::timestamptz IS NULL OR c.started_at <= $7)
"""
)
# $8: where to stop counting
COUNTS: Final[dict[Scope, str]] = {
    scope: "SELECT count(*) FROM (SELECT" + _CHATS + where + _WANTED + " LIMIT $8) AS found"
    for scope, where in _SCOPES.items()
}
_COLUMNS: Final = (
    """
SELECT c.id, c.customer_id, c.status, c.agent_id, c.agent_name, c.agent_avatar, c.topic,
       c.started_at, c.waiting_since, c.taken_at,
       u.sub, u.is_guest, u.name, u.email, u.phone, u.locale, u.is_vip,
"""
    + _CUSTOMER_TYPE
    + """ AS customer_type,
       coalesce(said.seq, 0) AS head_seq, said.content AS last_message,
       greatest(c.started_at, c.taken_at, c.ended_at, said.created_at, done.created_at)
           AS updated_at,
       called.reason AS called_reason, called.body AS called_body, called.created_at AS called_at
"""
)
_BESIDE: Final = """
LEFT JOIN LATERAL (
    SELECT seq, created_at,
        CASE message_type WHEN 'product' THEN '[product]' ELSE content END AS content
    FROM chat_messages WHERE chat_id = c.id ORDER BY seq DESC LIMIT 1
) said ON true
LEFT JOIN LATERAL (
    SELECT created_at FROM chat_events WHERE chat_id = c.id AND log_id > 0
    ORDER BY log_id DESC LIMIT 1
) done ON true
LEFT JOIN LATERAL (
    SELECT reason, body, created_at FROM chat_events
    WHERE chat_id = c.id AND kind IN ('HumanCalled', 'AskedAfterHours') AND by_type <> 'agent'
    ORDER BY log_id DESC LIMIT 1
) called ON true
"""
# $8: the waiting chats in the queue's order, $9: limit, $10: offset
_QUEUE: Final = " LEFT JOIN unnest($8::uuid[]) WITH ORDINALITY AS q (id, place) ON q.id = c.id "
_BY_QUEUE: Final = "q.place, array_position(ARRAY['active', 'bot'], c.status), c.started_at DESC"
_ORDERS: Final[dict[Sort, str]] = {
    "default": _BY_QUEUE,
    "newest": "c.started_at DESC",
    "oldest": "c.started_at",
    "vip": "u.is_vip DESC, " + _BY_QUEUE,
    "waitTime": "c.waiting_since, q.place, c.started_at DESC",
}
LISTS: Final[dict[tuple[Scope, Sort], str]] = {
    (scope, sort): "WITH page AS (SELECT id, row_number() OVER () AS at FROM (SELECT c.id"
    + _CHATS
    + _QUEUE
    + where
    + _WANTED
    + "ORDER BY "
    + order
    + ", c.id DESC LIMIT $9 OFFSET $10) AS found)"
    + _COLUMNS
    + "FROM page JOIN chats c ON c.id = page.id JOIN customers u ON u.id = c.customer_id"
    + _BESIDE
    + "ORDER BY page.at"
    for scope, where in _SCOPES.items()
    for sort, order in _ORDERS.items()
}
ONE_CHAT: Final = _COLUMNS + _CHATS + _BESIDE + "WHERE c.id = $1"
SESSION_OF: Final = (
    _COLUMNS
    + _CHATS
    + _BESIDE
    + "WHERE c.customer_id = $1 ORDER BY c.status = 'ended', c.started_at DESC, c.id DESC LIMIT 1"
)
TRAIL_OF: Final = """
SELECT * FROM (
    SELECT log_id, kind, from_phase, to_phase, by_type, by_id, by_name, reason, created_at
    FROM chat_events
    WHERE chat_id = $1 AND log_id > 0 AND (from_phase IS NOT NULL OR kind = 'Transferred')
    ORDER BY log_id DESC LIMIT $2
) AS latest ORDER BY log_id
"""
CUSTOMER: Final = "SELECT id, sub, is_guest, is_signed FROM customers WHERE id = $1"
NOTE_SIGNED: Final = """
INSERT INTO customers (id, sub, is_signed) VALUES ($1, $2, true)
ON CONFLICT (id) DO UPDATE SET is_signed = true WHERE NOT customers.is_signed
"""
NAMES_OF_CHATS: Final = """
SELECT c.id, u.id AS customer_id, u.sub, u.is_guest
FROM chats c JOIN customers u ON u.id = c.customer_id WHERE c.id = ANY($1::uuid[])
"""


class PostgresSessions:
    """Every call raises StoreUnavailable when the store does not answer."""

    def __init__(self, pool: DatabasePool) -> None:
        self._pool = pool

    async def of_customer(self, customer_id: UUID) -> Session | None:
        """The customer's session, if they ever had a chat."""
        async with connected(self._pool) as connection:
            record = await connection.fetchrow(SESSION_OF, customer_id)
        return _session(record) if record else None

    async def of_chat(self, chat_id: UUID) -> Session | None:
        """That very chat."""
        async with connected(self._pool) as connection:
            record = await connection.fetchrow(ONE_CHAT, chat_id)
        return _session(record) if record else None

    async def page(
        self, wanted: Filter, sort: Sort, queue: Sequence[UUID], *, limit: int, offset: int
    ) -> tuple[list[Session], int]:
        """Some of the sessions, and how many there are in all, counted up to COUNTED."""
        given, scope = _arguments(wanted), wanted.scope
        if scope == "closed" and sort in ("default", "waitTime"):
            sort = "newest"  # which is the same for them, and found by an index
        query = LISTS[scope, sort]
        async with connected(self._pool) as connection:
            records = await connection.fetch(query, *given, list(queue), limit, offset)
            total = len(records)
            if offset or total == limit:
                total = await connection.fetchval(COUNTS[scope], *given, COUNTED)
        return [_session(record) for record in records], int(total)

    async def waiting(self) -> list[Chat]:
        """Every chat that waits for a human, the longest wait first."""
        async with connected(self._pool) as connection:
            return await load_waiting(connection)

    async def chat(self, chat_id: UUID) -> Chat | None:
        async with connected(self._pool) as connection:
            stored = await load_chat(connection, chat_id)
        return stored.chat if stored else None

    async def history(self, session: Session) -> list[Message]:
        """The last messages of the chat."""
        head = session.head_seq
        async with connected(self._pool) as connection:
            return await load_messages(
                connection,
                session.chat_id,
                after=max(0, head - HISTORY),
                until=head,
                limit=HISTORY,
            )

    async def trail(self, chat_id: UUID) -> list[Transition]:
        """The latest transitions, in their order."""
        async with connected(self._pool) as connection:
            return [_transition(r) for r in await connection.fetch(TRAIL_OF, chat_id, TRAIL)]

    async def customer(self, customer_id: UUID) -> KnownCustomer | None:
        async with connected(self._pool) as connection:
            record = await connection.fetchrow(CUSTOMER, customer_id)
        return KnownCustomer(**dict(record)) if record else None

    async def note_signed(self, customer_id: UUID, sub: str) -> None:
        """The customer has come with a token signed by the shop."""
        async with connected(self._pool) as connection:
            await connection.execute(NOTE_SIGNED, customer_id, sub)

    async def names(self, chat_ids: Iterable[UUID]) -> dict[UUID, str]:
        """The session names of those chats."""
        async with connected(self._pool) as connection:
            records = await connection.fetch(NAMES_OF_CHATS, list(chat_ids))
        return {
            r["id"]: name_of(r["customer_id"], r["sub"], is_guest=r["is_guest"]) for r in records
        }


def _arguments(wanted: Filter) -> tuple[Any, ...]:
    return (
        STATUS[wanted.phase] if wanted.phase else None,
        wanted.agent_id,
        wanted.is_unassigned,
        wanted.customer_type,
        wanted.keyword.lower() if wanted.keyword else None,
        wanted.since,
        wanted.until,
    )


def _session(r: Any) -> Session:
    seat = None
    if r["status"] == "active":
        seat = Seat(r["agent_id"], r["agent_name"] or "", r["agent_avatar"], r["taken_at"])
    called = None
    if r["called_at"] is not None:
        called = Called(r["called_reason"], r["called_at"], r["called_body"])
    return Session(
        name=name_of(r["customer_id"], r["sub"], is_guest=r["is_guest"]),
        chat_id=r["id"],
        customer_id=r["customer_id"],
        sub=r["sub"],
        customer_name=r["name"],
        email=r["email"],
        phone=r["phone"],
        locale=r["locale"],
        is_vip=r["is_vip"],
        is_guest=r["is_guest"],
        customer_type=r["customer_type"],
        phase=PHASE[r["status"]],
        agent=seat,
        called=called,
        topic=r["topic"],
        last_message=r["last_message"],
        head_seq=r["head_seq"],
        created_at=r["started_at"],
        updated_at=r["updated_at"],
        waiting_since=r["waiting_since"],
    )


def _transition(r: Any) -> Transition:
    """A transfer is one, too: it stays with humans, and only the agent changes."""
    return Transition(
        action=r["kind"],
        from_phase=r["from_phase"] or "manual_live",
        to_phase=r["to_phase"] or "manual_live",
        by_type=r["by_type"],
        by_id=r["by_id"],
        by_name=r["by_name"],
        reason=r["reason"],
        at=r["created_at"],
    )
