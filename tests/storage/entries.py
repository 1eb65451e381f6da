"""Entries for the journal, and ways to look at what became of them and to stand in their way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import anyio

from kefu.cluster.store import claim
from kefu.storage.database import DatabasePool
from kefu.storage.journal import Connection, Journal
from kefu.storage.rows import ChatRow, Entry, EventRow, MessageRow
from tests.until import until

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
CUSTOMER = UUID(int=1)


class Chat:
    """Entries of one chat, one message each."""

    def __init__(self, slot: int = 7, epoch: int = 1) -> None:
        self.id = uuid4()
        self.slot = slot
        self.epoch = epoch

    def row(self, log_head: int = 1, status: str = "ended") -> ChatRow:
        return ChatRow(
            id=self.id,
            customer_id=CUSTOMER,
            status=status,
            agent_id=None,
            agent_name=None,
            agent_avatar=None,
            began_with_bot=False,
            topic=None,
            order_id=None,
            reason=None,
            log_head=log_head,
            customer_read_seq=0,
            agent_read_seq=0,
            started_at=AT,
            waiting_since=None,
            taken_at=None,
            ended_at=AT if status == "ended" else None,
            rating=None,
            feedback=None,
            team_id=None,
            answered_seq=0,
            bot_failures=0,
            after_hours_at=None,
            contact_email=None,
        )

    def message(self, seq: int, content: str = "在吗") -> MessageRow:
        return MessageRow(
            chat_id=self.id,
            seq=seq,
            message_id=uuid4(),
            sender_type="customer",
            sender_id=CUSTOMER,
            sender_name=None,
            content=content,
            message_type="text",
            client_message_id=None,
            created_at=AT,
        )

    def event(self, log_id: int) -> EventRow:
        return EventRow(
            chat_id=self.id,
            log_id=log_id,
            kind="opened",
            by_type="customer",
            by_id=CUSTOMER,
            by_name=None,
            from_phase=None,
            to_phase="bot",
            reason=None,
            body=None,
            created_at=AT,
        )

    def entry(self, seq: int, content: str = "在吗") -> Entry:
        return Entry(self.slot, self.epoch, (self.row(),), (self.message(seq, content),))


async def prepared(pool: DatabasePool) -> DatabasePool:
    """The pool, its database given one customer and every slot claimed once."""
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO customers (id, sub) VALUES ($1, 'c')", CUSTOMER)
        await claim(cast(Any, connection), range(1024), "test")
    return pool


@asynccontextmanager
async def running(
    connect: Callable[[], Awaitable[Connection]], **options: Any
) -> AsyncIterator[Journal]:
    """A journal that writes; the test fails if its task ever ends by itself."""
    journal = Journal(connect, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        yield journal
        tasks.cancel_scope.cancel()


async def outcome(journal: Journal, entry: Entry) -> str:
    try:
        with anyio.fail_after(20):
            await journal.append(entry)
    except Exception as error:
        return type(error).__name__
    return "written"


async def outcomes(journal: Journal, *entries: Entry) -> list[str]:
    """What becomes of entries that are all appended before the writer gets its turn."""
    return await asyncio.gather(*(outcome(journal, entry) for entry in entries))


async def seqs(store: DatabasePool, chat: Chat) -> list[int]:
    rows = await store.fetch(
        "SELECT seq FROM chat_messages WHERE chat_id = $1 ORDER BY seq", chat.id
    )
    return [row["seq"] for row in rows]


async def until_blocked(store: DatabasePool, statement: str, count: int = 1) -> None:
    """Wait until so many statements that begin like this wait for somebody's lock."""

    async def is_blocked() -> bool:
        return await store.fetchval(BLOCKED, statement + "%") >= count

    await until(is_blocked)


BLOCKED = r"""
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
AND ltrim(query, E'\n') LIKE $1 AND datname = current_database()
"""


@asynccontextmanager
async def in_the_way_of(
    store: DatabasePool, entry: Entry
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Somebody else writes the entry's first message and does not commit: the write must wait.

    Calling what is yielded takes it back.
    """
    row = entry.messages[0]
    async with store.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute(
            "INSERT INTO chat_messages (chat_id, seq, message_id, sender_type, content,"
            " message_type, epoch, created_at) VALUES ($1, $2, $3, 'system', '', 'text', 1, now())",
            row.chat_id,
            row.seq,
            uuid4(),
        )
        yield transaction.rollback
