"""The journal on a real PostgreSQL: all or nothing, in order, fenced, and never twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import anyio
import asyncpg
import pytest
from msgspec.structs import replace

from kefu.storage.database import DatabasePool
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import (
    QUEUE_ENTRIES,
    Connection,
    Journal,
    JournalFull,
    Unwritable,
)
from kefu.storage.journal_sql import CLAIM
from kefu.storage.ownership import claim_slots
from kefu.storage.rows import ChatRow, Entry, EventRow, MessageRow
from tests.fakes.proxy import Proxy, proxied_database
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


@pytest.fixture
async def store(pool: DatabasePool) -> DatabasePool:
    """A pool for looking, on a database with one customer and every slot claimed once."""
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO customers (id, sub) VALUES ($1, 'c')", CUSTOMER)
        await claim_slots(cast(Any, connection), "test")
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


@pytest.fixture
async def journal(store: DatabasePool, database: str) -> AsyncIterator[Journal]:
    async with running(lambda: asyncpg.connect(database)) as journal:
        yield journal


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


# --- what is written ------------------------------------------------------------------------------


async def test_an_entry_is_written_whole(journal: Journal, store: DatabasePool) -> None:
    chat = Chat()
    entry = Entry(7, 1, (chat.row(),), (chat.message(1), chat.message(2)), (chat.event(1),))
    await journal.append(entry)

    assert await seqs(store, chat) == [1, 2]
    assert await store.fetchval("SELECT epoch FROM chats WHERE id = $1", chat.id) == 1
    assert await store.fetchval("SELECT count(*) FROM chat_events") == 1


async def test_an_entry_of_which_one_row_collides_writes_nothing(
    journal: Journal, store: DatabasePool
) -> None:
    chat = Chat()
    await journal.append(Entry(7, 1, (chat.row(),), (), (chat.event(1),)))
    broken = Entry(7, 1, (chat.row(9),), (chat.message(1),), (replace(chat.event(1), kind="x"),))
    later = replace(broken, events=(replace(broken.events[0], created_at=datetime.now(UTC)),))

    assert await outcome(journal, later) == "Collided"
    assert await seqs(store, chat) == []
    assert await store.fetchval("SELECT log_head FROM chats WHERE id = $1", chat.id) == 1


async def test_entries_are_done_in_the_order_they_came(journal: Journal) -> None:
    chats = [Chat(slot) for slot in range(30)]
    done: list[int] = []

    async def append(number: int) -> None:
        await journal.append(chats[number].entry(1))
        done.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(30):
            tasks.create_task(append(number))

    assert done == list(range(30))


async def test_what_is_appended_while_a_commit_runs_shares_the_next_one(
    store: DatabasePool, database: str
) -> None:
    commits: list[int] = []
    async with running(
        lambda: asyncpg.connect(database), on_commit=lambda rows, _s: commits.append(rows)
    ) as journal:
        said = await outcomes(journal, *(Chat(n).entry(1) for n in range(200)))

    assert Counter(said) == {"written": 200}
    assert sum(commits) == 400
    assert len(commits) <= 4


async def test_the_latest_row_of_a_chat_stands(journal: Journal, store: DatabasePool) -> None:
    chat = Chat()
    rows = [Entry(7, 1, (chat.row(head, status),)) for head, status in ((1, "bot"), (2, "ended"))]

    assert await outcomes(journal, *rows) == ["written", "written"]
    assert await store.fetchval("SELECT status FROM chats WHERE id = $1", chat.id) == "ended"


async def test_a_row_that_comes_late_does_not_undo_a_newer_one(
    journal: Journal, store: DatabasePool
) -> None:
    chat = Chat()
    await journal.append(Entry(7, 1, (chat.row(5, "ended"),)))
    await journal.append(Entry(7, 1, (chat.row(4, "bot"),)))

    assert await store.fetchval("SELECT status FROM chats WHERE id = $1", chat.id) == "ended"


# --- who may write --------------------------------------------------------------------------------


async def test_a_stale_epoch_writes_nothing_and_the_others_do(
    journal: Journal, store: DatabasePool
) -> None:
    old, current, ahead = Chat(7, epoch=0), Chat(8), Chat(9, epoch=2)
    said = await outcomes(journal, old.entry(1), current.entry(1), ahead.entry(1))

    assert said == ["Fenced", "written", "Fenced"]
    assert await store.fetchval("SELECT count(*) FROM chat_messages") == 1
    assert await store.fetchval("SELECT count(*) FROM chats") == 1


async def test_two_epochs_of_a_slot_in_one_batch_are_told_apart(
    journal: Journal, store: DatabasePool
) -> None:
    async with store.acquire() as connection:
        await connection.execute("UPDATE slot_owner SET epoch = 2 WHERE slot = 7")
    old, new = Chat(7, epoch=1), Chat(7, epoch=2)

    assert await outcomes(journal, old.entry(1), new.entry(1)) == ["Fenced", "written"]
    assert await seqs(store, old) == []


async def test_a_write_waits_for_a_claim_under_way_and_then_writes_nothing(
    journal: Journal, store: DatabasePool
) -> None:
    chat = Chat()
    async with store.acquire() as claimant, asyncio.TaskGroup() as tasks:
        claim = claimant.transaction()
        await claim.start()
        await claimant.fetch(CLAIM, "another")
        write = tasks.create_task(outcome(journal, chat.entry(1)))
        await until_blocked(store, "WITH held")
        await claim.commit()

    assert write.result() == "Fenced"
    assert await seqs(store, chat) == []


async def test_a_claim_waits_for_a_write_under_way_and_then_sees_it(
    journal: Journal, store: DatabasePool
) -> None:
    chat = Chat()
    entry = chat.entry(1)
    async with in_the_way_of(store, entry) as let_go, asyncio.TaskGroup() as tasks:
        write = tasks.create_task(outcome(journal, entry))
        await until_blocked(store, "WITH held")

        async def claim_and_read() -> list[int]:
            async with store.acquire() as claimant:
                await claim_slots(cast(Any, claimant), "another")
                return await seqs(store, chat)

        claim = tasks.create_task(claim_and_read())
        await until_blocked(store, "UPDATE slot_owner")
        assert not write.done()
        await let_go()

    assert write.result() == "written"
    assert claim.result() == [1]


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


# --- bad company ----------------------------------------------------------------------------------


async def test_one_colliding_entry_does_not_take_the_batch_down(
    journal: Journal, store: DatabasePool
) -> None:
    chats = [Chat(slot) for slot in range(9)]
    await journal.append(chats[4].entry(1))
    said = await outcomes(journal, *(chat.entry(1) for chat in chats))

    assert said == ["written"] * 4 + ["Collided"] + ["written"] * 4
    assert await store.fetchval("SELECT count(*) FROM chat_messages") == 9


@pytest.mark.parametrize("content", ["half a pair \ud800, closed", "a nul \x00"])
async def test_an_entry_no_database_can_hold_fails_alone(
    journal: Journal, store: DatabasePool, content: str
) -> None:
    chats = [Chat(slot) for slot in range(5)]
    entries = [chat.entry(1) for chat in chats]
    entries[2] = chats[2].entry(1, content)

    assert await outcomes(journal, *entries) == ["written"] * 2 + ["Unwritable"] + ["written"] * 2
    with pytest.raises(Unwritable) as failure:
        await journal.append(entries[2])
    assert "closed" not in str(failure.value), "people's words are not for the log"


async def test_a_row_that_breaks_a_rule_of_the_schema_is_a_bug_not_a_collision(
    journal: Journal,
) -> None:
    chat = Chat()
    entry = Entry(7, 1, (replace(chat.row(), customer_id=uuid4()),))

    assert await outcome(journal, entry) == "Unwritable"


async def test_a_full_journal_refuses_at_once(store: DatabasePool, database: str) -> None:
    journal = Journal(lambda: asyncpg.connect(database))
    chat = Chat()
    waiting = [asyncio.ensure_future(journal.append(chat.entry(1))) for _ in range(QUEUE_ENTRIES)]
    await until(lambda: journal.depth > 0)

    assert journal.depth == QUEUE_ENTRIES
    with pytest.raises(JournalFull):
        await journal.append(chat.entry(1))
    for each in waiting:  # who gives up waiting wants nothing written
        each.cancel()
    await asyncio.wait(waiting)
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(journal.run())
        await until(lambda: journal.depth == 0)
        assert await outcome(journal, Chat(8).entry(1)) == "written"
        writer.cancel()
    assert await seqs(store, chat) == []


# --- when the connection breaks -------------------------------------------------------------------


@pytest.fixture
async def network(database: str) -> AsyncIterator[tuple[Proxy, str]]:
    async with proxied_database(database) as network:
        yield network


@pytest.mark.parametrize("lost", ["question", "answer"])
async def test_a_connection_cut_in_a_commit_loses_nothing_and_writes_nothing_twice(
    store: DatabasePool, network: tuple[Proxy, str], lost: str
) -> None:
    proxy, url = network
    chats = [Chat(slot) for slot in range(20)]
    async with running(lambda: asyncpg.connect(url)) as journal:
        await outcomes(journal, *(chat.entry(1) for chat in chats))
        setattr(proxy, f"lose_{lost}", True)
        said = await outcomes(journal, *(chat.entry(2) for chat in chats))

    assert proxy.opened_count == 2
    assert said == ["written"] * 20
    assert [await seqs(store, chat) for chat in chats] == [[1, 2]] * 20


@pytest.mark.parametrize("chunks", range(1, 10))
async def test_wherever_the_connection_is_cut_each_entry_is_there_once(
    store: DatabasePool, network: tuple[Proxy, str], chunks: int
) -> None:
    proxy, url = network
    chat = Chat()
    async with running(lambda: asyncpg.connect(url)) as journal:
        said = []
        for seq in range(1, 6):
            proxy.cut_after = chunks
            said.append(await outcome(journal, chat.entry(seq)))

    assert said == ["written"] * 5
    assert await seqs(store, chat) == [1, 2, 3, 4, 5]


async def test_a_commit_given_up_for_lost_that_comes_through_is_no_collision(
    store: DatabasePool, network: tuple[Proxy, str]
) -> None:
    proxy, url = network
    chat = Chat()
    entry = chat.entry(1)
    async with (
        running(lambda: asyncpg.connect(url)) as journal,
        in_the_way_of(store, entry) as let_go,
        asyncio.TaskGroup() as tasks,
    ):
        write = tasks.create_task(outcome(journal, entry))
        await until_blocked(store, "WITH held")
        proxy.cut()  # PostgreSQL does not notice: that statement goes on
        await until_blocked(store, "WITH held", 2)
        await let_go()

    assert write.result() == "written"
    assert await seqs(store, chat) == [1]


async def test_a_database_gone_for_long_is_said_to_all_who_wait_and_forgotten_when_it_is_back(
    store: DatabasePool, network: tuple[Proxy, str]
) -> None:
    proxy, url = network
    async with running(lambda: asyncpg.connect(url), retry_for_s=0.4) as journal:
        assert await outcome(journal, Chat().entry(1)) == "written"
        proxy.is_refusing = True
        proxy.cut()
        said = await outcomes(journal, *(Chat(slot).entry(1) for slot in range(700)))
        assert Counter(said) == {"StoreUnavailable": 700}
        assert journal.depth == 0
        proxy.is_refusing = False

        assert await outcome(journal, Chat().entry(1)) == "written"


async def test_a_short_outage_is_waited_out(
    store: DatabasePool, network: tuple[Proxy, str]
) -> None:
    proxy, url = network
    chat = Chat()
    async with running(lambda: asyncpg.connect(url)) as journal, asyncio.TaskGroup() as tasks:
        await journal.append(chat.entry(1))
        proxy.is_refusing = True
        proxy.cut()
        write = tasks.create_task(outcome(journal, chat.entry(2)))
        opened = proxy.opened_count
        await until(lambda: proxy.opened_count >= opened + 2)
        proxy.is_refusing = False

    assert write.result() == "written"
    assert await seqs(store, chat) == [1, 2]


async def test_a_silent_database_is_given_up_as_well(
    store: DatabasePool, network: tuple[Proxy, str]
) -> None:
    proxy, url = network
    async with running(
        lambda: asyncpg.connect(url), retry_for_s=0.2, commit_timeout_s=0.2
    ) as journal:
        await journal.append(Chat().entry(1))
        proxy.is_silent = True
        assert await outcome(journal, Chat().entry(1)) == "StoreUnavailable"
        proxy.is_silent = False
        assert await outcome(journal, Chat().entry(1)) == "written"


CONNECT_ERRORS = [
    OSError("no route"),
    ConnectionRefusedError(),
    TimeoutError(),
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.TooManyConnectionsError("too many"),
    asyncpg.InvalidPasswordError("no"),
    asyncpg.InvalidCatalogNameError("gone"),
    asyncpg.InternalClientError("?"),
    RuntimeError("a bug"),
]


@pytest.mark.parametrize("error", CONNECT_ERRORS, ids=lambda error: type(error).__name__)
async def test_no_failure_to_connect_ends_the_writer(
    store: DatabasePool, database: str, error: Exception
) -> None:
    failures = [error] * 3

    async def connect() -> Connection:
        if failures:
            raise failures.pop()
        return await asyncpg.connect(database)

    async with running(connect) as journal:
        assert await outcome(journal, Chat().entry(1)) == "written"
    assert failures == []


class Failing:
    """A real connection whose statement fails once, before or after it did its work."""

    def __init__(self, connection: Connection, errors: list[Exception], *, after: bool) -> None:
        self._connection = connection
        self._errors = errors
        self._after = after

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        if self._errors and not self._after:
            raise self._errors.pop()
        rows = await self._connection.fetch(*arguments, **options)
        if self._errors:
            raise self._errors.pop()
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


STATEMENT_ERRORS: list[tuple[Exception, str]] = [
    (ConnectionResetError(), "written"),
    (TimeoutError(), "written"),
    (asyncpg.ConnectionDoesNotExistError("gone"), "written"),
    (asyncpg.InterfaceError("connection is closed"), "written"),
    (asyncpg.InternalClientError("?"), "written"),
    (asyncpg.AdminShutdownError("bye"), "written"),
    (asyncpg.CrashShutdownError("bye"), "written"),
    (asyncpg.QueryCanceledError("slow"), "written"),
    (asyncpg.DiskFullError("full"), "StoreUnavailable"),
    (asyncpg.OutOfMemoryError("full"), "StoreUnavailable"),
    (asyncpg.ReadOnlySQLTransactionError("standby"), "StoreUnavailable"),
    (asyncpg.UndefinedTableError("?"), "Unwritable"),
    (RuntimeError("a bug"), "Unwritable"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("error", "said"), STATEMENT_ERRORS, ids=lambda e: type(e).__name__)
async def test_no_failure_of_a_statement_ends_the_writer(
    store: DatabasePool, database: str, error: Exception, said: str, after: bool
) -> None:
    errors, chat = [error], Chat()

    async def connect() -> Connection:
        return cast(Any, Failing(await asyncpg.connect(database), errors, after=after))

    async with running(connect) as journal:
        assert await outcome(journal, chat.entry(1)) == said
        assert await outcome(journal, chat.entry(2)) == "written"

    expected = [1, 2] if after or said == "written" else [2]
    assert await seqs(store, chat) == expected


# --- the end --------------------------------------------------------------------------------------


async def test_who_still_waits_when_the_writer_ends_is_refused(
    store: DatabasePool, database: str
) -> None:
    journal = Journal(lambda: asyncpg.connect(database))
    entry = Chat().entry(1)
    async with in_the_way_of(store, entry), asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(journal.run())
        in_hand = tasks.create_task(outcome(journal, entry))
        await until_blocked(store, "WITH held")
        queued = tasks.create_task(outcome(journal, Chat().entry(1)))
        await until(lambda: journal.depth == 1)
        writer.cancel()

    assert in_hand.result() == queued.result() == "StoreUnavailable"
    with pytest.raises(StoreUnavailable, match="stopping"):
        await journal.append(entry)


async def test_an_appender_that_was_cancelled_takes_nobody_along(
    journal: Journal, store: DatabasePool
) -> None:
    chat = Chat()
    entry = chat.entry(1)
    async with in_the_way_of(store, entry) as let_go, asyncio.TaskGroup() as tasks:
        gone = tasks.create_task(journal.append(entry))
        await until_blocked(store, "WITH held")
        other = tasks.create_task(outcome(journal, Chat(8).entry(1)))
        gone.cancel()
        await let_go()

    assert other.result() == "written"
