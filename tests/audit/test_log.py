"""Entries come with the transaction that acts, and what is done to them later is found."""

from typing import Any
from uuid import UUID

import anyio
import pytest
from asyncpg import InsufficientPrivilegeError
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kefu.audit import store
from kefu.audit.chain import GENESIS, link
from kefu.audit.log import AuditLog
from kefu.audit.messages import SYSTEM, Act, By
from kefu.storage.database import Connection, DatabasePool, connected, transaction
from protocol.audit import AuditEntry
from tests.fakes.clock import HandClock

# What a person does who has the database and turns the triggers off.
UNGUARDED = "SET LOCAL session_replication_role = replica"


@pytest.fixture
def log(pool: DatabasePool) -> AuditLog:
    return AuditLog(pool, HandClock())


def act(number: int) -> Act:
    after = {"name": f"第 {number} 个", "is_active": True, "skills": ["a", "b"], "note": None}
    return Act(SYSTEM, "agent.changed", "agent", f"a-{number}", {"name": "老"}, after)


async def write(pool: DatabasePool, log: AuditLog, count: int) -> None:
    for number in range(1, count + 1):
        async with transaction(pool) as connection:
            await log.append(connection, act(number))


async def tamper(pool: DatabasePool, sql: str) -> None:
    async with transaction(pool) as connection:
        await connection.execute(UNGUARDED)
        assert await connection.execute(sql) != "UPDATE 0"


async def test_an_entry_says_who_did_what_when_and_from_where(
    pool: DatabasePool, log: AuditLog
) -> None:
    by = By("agent", UUID(int=7), "Lin", "203.0.113.7")
    async with transaction(pool) as connection:
        await log.append(connection, replace(act(1), by=by))
    (entry,) = (await log.page()).entries
    assert entry == AuditEntry(
        id=1,
        at=HandClock().now(),
        by_type="agent",
        by_id=by.id,
        by_name="Lin",
        action="agent.changed",
        subject_type="agent",
        subject_id="a-1",
        before={"name": "老"},
        after=act(1).after,
        address="203.0.113.7",
    )
    assert await log.verify() is None


async def test_an_act_that_is_rolled_back_leaves_no_entry_and_no_gap(
    pool: DatabasePool, log: AuditLog
) -> None:
    await write(pool, log, 1)
    async with connected(pool) as connection:
        attempt = connection.transaction()
        await attempt.start()
        await log.append(connection, act(2))
        await attempt.rollback()
    await write(pool, log, 1)
    assert [entry.id for entry in (await log.page()).entries] == [2, 1]
    assert await log.verify() is None


async def test_acts_at_the_same_time_stand_one_behind_the_other(
    pool: DatabasePool, log: AuditLog
) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(write, pool, log, 5)
    assert [entry.id for entry in (await log.page()).entries] == list(range(40, 0, -1))
    assert await log.verify() is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_log SET by_name = 'nobody' WHERE id = 1",
        "DELETE FROM audit_log WHERE id = 1",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log SELECT * FROM audit_log"
        " ON CONFLICT (id) DO UPDATE SET by_name = 'nobody'",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
    ],
)
async def test_an_entry_can_be_neither_changed_nor_taken_out(
    pool: DatabasePool, log: AuditLog, sql: str
) -> None:
    await write(pool, log, 2)
    async with connected(pool) as connection:
        with pytest.raises(InsufficientPrivilegeError, match="only appended to"):
            await connection.execute(sql)
    assert await log.verify() is None


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "by_type = 'system', by_id = gen_random_uuid()",
        "by_name = 'somebody'",
        "action = 'agent.created'",
        "subject_type = 'team'",
        "subject_id = 'a-9'",
        "before = null",
        "after = jsonb_set(after, '{is_active}', 'false')",
        "address = '198.51.100.1'",
        "hash = decode(repeat('11', 32), 'hex')",
        "previous_hash = decode(repeat('11', 32), 'hex')",
        "id = 1000",
    ],
)
async def test_a_changed_field_is_found_in_its_row(
    pool: DatabasePool, log: AuditLog, change: str
) -> None:
    await write(pool, log, 6)
    await tamper(pool, f"UPDATE audit_log SET {change} WHERE id = 4")
    assert await log.verify() == 4


@pytest.mark.parametrize("number", [1, 4, 6])
async def test_a_missing_row_is_found(pool: DatabasePool, log: AuditLog, number: int) -> None:
    await write(pool, log, 6)
    await tamper(pool, f"DELETE FROM audit_log WHERE id = {number}")
    assert await log.verify() == number


async def test_an_emptied_log_is_found(pool: DatabasePool, log: AuditLog) -> None:
    await write(pool, log, 3)
    await tamper(pool, "DELETE FROM audit_log")
    assert await log.verify() == 1


async def test_a_row_put_in_at_the_end_is_found(pool: DatabasePool, log: AuditLog) -> None:
    await write(pool, log, 3)
    async with connected(pool) as connection:
        head = await store.read_head(connection)
        forged = replace((await log.page(limit=1)).entries[0], id=4, by_name="nobody")
        await insert_past_the_head(connection, forged, head)
    assert await log.verify() == 4


async def insert_past_the_head(connection: Connection, entry: AuditEntry, head: store.Head) -> None:
    async with connection.transaction():
        await store.insert_entry(connection, store.Row(entry, head.hash, link(head.hash, entry)))
        await connection.execute("UPDATE audit_head SET id = $1, hash = $2", head.id, head.hash)


@pytest.mark.parametrize(("number", "found"), [(4, 5), (6, 6)])
async def test_a_row_rewritten_with_its_hash_is_found_by_what_follows(
    pool: DatabasePool, log: AuditLog, number: int, found: int
) -> None:
    """By the next row, the last one by the chain's end."""
    await write(pool, log, 6)
    async with transaction(pool) as connection:
        (row,) = await store.walk(connection, number - 1, 1)
        forged = replace(row.entry, by_name="somebody")
        await connection.execute(UNGUARDED)
        await connection.execute(
            "UPDATE audit_log SET by_name = $2, hash = $3 WHERE id = $1",
            number,
            forged.by_name,
            link(row.previous_hash, forged),
        )
    assert await log.verify() == found


async def test_every_step_of_a_long_log_is_walked(
    pool: DatabasePool, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kefu.audit.log.STEP", 3)
    await write(pool, log, 8)
    assert await log.verify() is None
    await tamper(pool, "UPDATE audit_log SET by_name = 'x' WHERE id = 7")
    assert await log.verify() == 7


async def test_pages_lead_from_the_newest_to_the_oldest(pool: DatabasePool, log: AuditLog) -> None:
    assert (await log.page()).entries == ()
    await write(pool, log, 5)
    first = await log.page(limit=2)
    assert ([entry.id for entry in first.entries], first.next_cursor) == ([5, 4], "4")
    second = await log.page(before=4, limit=2)
    third = await log.page(before=2, limit=2)
    assert [entry.id for entry in second.entries + third.entries] == [3, 2, 1]
    assert third.next_cursor is None
    assert (await log.page(before=3, limit=2)).next_cursor is None


ENTRY = st.builds(
    AuditEntry,
    id=st.integers(1, 2**62),
    at=st.datetimes(),
    by_type=st.sampled_from(["agent", "operator", "system"]),
    by_id=st.none() | st.uuids(),
    by_name=st.text(max_size=20),
    action=st.text(max_size=20),
    subject_type=st.text(max_size=20),
    subject_id=st.text(max_size=20),
    before=st.none() | st.dictionaries(st.text(max_size=5), st.booleans() | st.integers(0, 9)),
    after=st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
    address=st.none() | st.text(max_size=20),
)


@given(one=ENTRY, other=ENTRY)
def test_different_entries_have_different_hashes(one: AuditEntry, other: AuditEntry) -> None:
    assert (link(GENESIS, one) == link(GENESIS, other)) is (one == other)


@given(entry=ENTRY)
def test_the_order_of_a_json_object_makes_no_difference(entry: AuditEntry) -> None:
    def turned(value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else dict(reversed(value.items()))

    again = replace(entry, before=turned(entry.before), after=turned(entry.after))
    assert link(GENESIS, again) == link(GENESIS, entry)
