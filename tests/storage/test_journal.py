"""The journal on a real PostgreSQL: all or nothing, in order, fenced."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import anyio
import asyncpg
import pytest
from anyio import TaskHandle
from msgspec.structs import replace

from kefu.cluster.store import CLAIM, PostgresClaims
from kefu.storage.database import DatabasePool
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import QUEUE_ENTRIES, Journal, JournalFull, Unwritable
from kefu.storage.rows import CustomerRow, Entry
from tests.storage.entries import (
    Chat,
    in_the_way_of,
    outcome,
    outcomes,
    prepared,
    running,
    seqs,
    until_blocked,
)
from tests.until import until


@pytest.fixture
async def store(pool: DatabasePool) -> DatabasePool:
    return await prepared(pool)


@pytest.fixture
async def journal(store: DatabasePool, database: str) -> AsyncIterator[Journal]:
    async with running(lambda: asyncpg.connect(database)) as journal:
        yield journal


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

    async with anyio.create_task_group() as tasks:
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


async def test_what_entries_of_one_commit_know_of_a_customer_stands_together(
    journal: Journal, store: DatabasePool
) -> None:
    new = uuid4()
    row = CustomerRow(new, "new", False, "小林", None, None, None, is_vip=False, is_signed=True)
    first = replace(Chat().entry(1), customer=row)
    second = replace(
        Chat().entry(1), customer=replace(row, name=None, phone="1", is_vip=True, is_signed=False)
    )

    assert await outcomes(journal, first, second) == ["written", "written"]
    kept = await store.fetchrow("SELECT * FROM customers WHERE id = $1", new)
    assert kept is not None
    assert (kept["name"], kept["phone"], kept["is_vip"], kept["is_signed"]) == (
        "小林",
        "1",
        True,
        True,
    )


async def test_a_customer_alone_is_an_entry_and_a_stale_owner_writes_none(
    journal: Journal, store: DatabasePool
) -> None:
    row = CustomerRow(uuid4(), "new", False, None, None, None, None, is_vip=False, is_signed=True)

    assert await outcome(journal, Entry(7, 0, customer=row)) == "Fenced"
    assert await store.fetchval("SELECT count(*) FROM customers") == 1
    assert await outcome(journal, Entry(7, 1, customer=row)) == "written"
    assert await outcome(journal, Entry(7, 1, customer=row)) == "written"
    assert await store.fetchval("SELECT count(*) FROM customers") == 2


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
    async with store.acquire() as claimant, anyio.create_task_group() as tasks:
        claim = claimant.transaction()
        await claim.start()
        await claimant.fetch(CLAIM, list(range(1024)), "another")
        write = tasks.create_task(outcome(journal, chat.entry(1)))
        await until_blocked(store, "WITH found")
        await claim.commit()

    assert write.return_value == "Fenced"
    assert await seqs(store, chat) == []


async def test_a_claim_waits_for_a_write_under_way_and_then_sees_it(
    journal: Journal, store: DatabasePool
) -> None:
    chat = Chat()
    entry = chat.entry(1)
    async with in_the_way_of(store, entry) as let_go, anyio.create_task_group() as tasks:
        write = tasks.create_task(outcome(journal, entry))
        await until_blocked(store, "WITH found")

        async def claim_and_read() -> list[int]:
            await PostgresClaims(store).claim(range(1024), "another")
            return await seqs(store, chat)

        claim = tasks.create_task(claim_and_read())
        await until_blocked(store, "UPDATE slot_owner")
        assert write.status is TaskHandle.Status.PENDING
        await let_go()

    assert write.return_value == "written"
    assert claim.return_value == [1]


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
    async with anyio.create_task_group() as tasks:
        writer = tasks.create_task(journal.run())
        await until(lambda: journal.depth == 0)
        assert await outcome(journal, Chat(8).entry(1)) == "written"
        writer.cancel()
    assert await seqs(store, chat) == []


# --- the end --------------------------------------------------------------------------------------


async def test_who_still_waits_when_the_writer_ends_is_refused(
    store: DatabasePool, database: str
) -> None:
    journal = Journal(lambda: asyncpg.connect(database))
    entry = Chat().entry(1)
    async with in_the_way_of(store, entry), anyio.create_task_group() as tasks:
        writer = tasks.create_task(journal.run())
        in_hand = tasks.create_task(outcome(journal, entry))
        await until_blocked(store, "WITH found")
        queued = tasks.create_task(outcome(journal, Chat().entry(1)))
        await until(lambda: journal.depth == 1)
        writer.cancel()

    assert in_hand.return_value == queued.return_value == "StoreUnavailable"
    with pytest.raises(StoreUnavailable, match="stopping"):
        await journal.append(entry)


async def test_an_appender_that_was_cancelled_takes_nobody_along(
    journal: Journal, store: DatabasePool
) -> None:
    chat = Chat()
    entry = chat.entry(1)
    async with in_the_way_of(store, entry) as let_go, anyio.create_task_group() as tasks:
        gone = tasks.create_task(journal.append(entry))
        await until_blocked(store, "WITH found")
        other = tasks.create_task(outcome(journal, Chat(8).entry(1)))
        gone.cancel()
        await let_go()

    assert other.return_value == "written"


# --- guards and doubt -----------------------------------------------------------------------------


async def test_a_guarded_entry_is_written_only_while_every_claim_holds(
    store: DatabasePool, database: str
) -> None:
    doubtful: list[frozenset[tuple[int, int]]] = []
    connect = lambda: asyncpg.connect(database)  # noqa: E731
    async with running(connect, on_doubt=doubtful.append) as journal:
        free, full, plain = Chat(slot=7), Chat(slot=7), Chat(slot=7)
        guarded = replace(free.entry(1), guards=((900, 1),))
        stale = replace(full.entry(1), guards=((901, 2), (900, 1)))
        found = await outcomes(journal, guarded, stale, plain.entry(1))
    assert found == ["written", "Fenced", "written"]
    assert doubtful == [frozenset({(901, 2)})]
    assert await seqs(store, full) == []
    assert await seqs(store, free) == [1]
