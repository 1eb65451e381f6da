"""The SQL of the audit log: it is appended to and read, never changed (triggers refuse it)."""

from typing import NamedTuple

import asyncpg
from msgspec.structs import astuple

from kefu.storage.database import Connection
from protocol.audit import AuditEntry

COLUMNS = """
    id, at, by_type, by_id, by_name, action, subject_type, subject_id, before, after, address
"""


class Head(NamedTuple):
    """The chain's end: the newest entry's id, 0 before the first, and its hash."""

    id: int
    hash: bytes


class Row(NamedTuple):
    """An entry with the hashes kept next to it."""

    entry: AuditEntry
    previous_hash: bytes
    hash: bytes


LOCK_HEAD = "SELECT id, hash FROM audit_head FOR UPDATE"
READ_HEAD = "SELECT id, hash FROM audit_head"


async def lock_head(connection: Connection) -> Head:
    """The chain's end, held until the transaction ends."""
    return _head(await connection.fetchrow(LOCK_HEAD))


async def read_head(connection: Connection) -> Head:
    return _head(await connection.fetchrow(READ_HEAD))


INSERT_ENTRY = f"""
WITH moved AS (UPDATE audit_head SET id = $1, hash = $13)
INSERT INTO audit_log ({COLUMNS}, previous_hash, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


async def insert_entry(connection: Connection, row: Row) -> None:
    await connection.execute(INSERT_ENTRY, *astuple(row.entry), row.previous_hash, row.hash)


PAGE = f"""
SELECT {COLUMNS} FROM audit_log
WHERE id < $1
ORDER BY id DESC LIMIT $2
"""


async def page(connection: Connection, before: int, limit: int) -> tuple[AuditEntry, ...]:
    """Newest first, older than the id `before`."""
    return tuple(_entry(row) for row in await connection.fetch(PAGE, before, limit))


WALK = f"""
SELECT {COLUMNS}, previous_hash, hash FROM audit_log WHERE id > $1 ORDER BY id LIMIT $2
"""


async def walk(connection: Connection, after: int, limit: int) -> tuple[Row, ...]:
    """Oldest first, behind the id `after`."""
    return tuple(
        Row(_entry(row), row["previous_hash"], row["hash"])
        for row in await connection.fetch(WALK, after, limit)
    )


def _head(row: asyncpg.Record | None) -> Head:
    assert row is not None  # the migration put it there and a trigger keeps it
    return Head(row["id"], row["hash"])


def _entry(row: asyncpg.Record) -> AuditEntry:
    return AuditEntry(**{name: row[name] for name in AuditEntry.__struct_fields__})
