"""The SQL of the knowledge: each statement with the one function that runs it.

Every write of entries raises the version first; its row makes them wait for each other, so that
whoever has it sees all entries as they are and stays alone with them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from msgspec import Struct

from kefu.knowledge.state import Known
from kefu.storage.database import Connection, in_transaction
from protocol.knowledge import KnowledgeEntry, Locale, UnansweredQuestion

ENTRY_COLUMNS = """
    id, question, answer, phrasings, tags, locale, enabled, key, created_at, updated_at
"""

RAISE_VERSION = "UPDATE knowledge_version SET version = version + 1 RETURNING version"


async def raise_version(connection: Connection) -> int:
    """From here to the commit nobody else writes entries."""
    return int(await connection.fetchval(RAISE_VERSION))


VERSION = "SELECT version FROM knowledge_version"


async def version(connection: Connection) -> int:
    return int(await connection.fetchval(VERSION))


FIND_ENTRIES = f"""
SELECT {ENTRY_COLUMNS}, count(*) OVER () AS total FROM knowledge_entries
WHERE ($1::text IS NULL OR position(lower($1) IN lower(
        concat_ws(' ', question, answer, key, array_to_string(phrasings || tags, ' ')))) > 0)
    AND ($2::text IS NULL OR locale = $2)
ORDER BY updated_at DESC, id DESC
OFFSET $3 LIMIT $4
"""


async def find_entries(
    connection: Connection, words: str | None, locale: str | None, offset: int, limit: int
) -> tuple[tuple[KnowledgeEntry, ...], int]:
    """Those with the words in one of their texts, and how many there are in all.

    Behind the end nothing is counted.
    """
    rows = await connection.fetch(FIND_ENTRIES, words, locale, offset, limit)
    return tuple(_entry(row) for row in rows), rows[0]["total"] if rows else 0


ENTRY_BY_ID = f"SELECT {ENTRY_COLUMNS} FROM knowledge_entries WHERE id = $1"


async def entry_by_id(connection: Connection, entry_id: UUID) -> KnowledgeEntry | None:
    row = await connection.fetchrow(ENTRY_BY_ID, entry_id)
    return None if row is None else _entry(row)


ALL_ENTRIES = f"SELECT {ENTRY_COLUMNS} FROM knowledge_entries"


async def all_entries(connection: Connection) -> tuple[KnowledgeEntry, ...]:
    return tuple(_entry(row) for row in await connection.fetch(ALL_ENTRIES))


COUNT_ENTRIES = "SELECT count(*) FROM knowledge_entries"


async def count_entries(connection: Connection) -> int:
    return int(await connection.fetchval(COUNT_ENTRIES))


SAVE_ENTRY = """
INSERT INTO knowledge_entries
    (id, question, answer, phrasings, tags, locale, enabled, key, created_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (id) DO UPDATE SET
    question = $2, answer = $3, phrasings = $4, tags = $5, locale = $6, enabled = $7, key = $8,
    updated_at = $10, version = $11
"""


async def save_entries(
    connection: Connection, entries: Iterable[KnowledgeEntry], version: int
) -> bool:
    """False when a question or a key is taken; the transaction can then only be rolled back."""
    rows = [
        (
            each.id,
            each.question,
            each.answer,
            each.phrasings,
            each.tags,
            each.locale,
            each.enabled,
            each.key,
            each.created_at,
            each.updated_at,
            version,
        )
        for each in entries
    ]
    try:
        await connection.executemany(SAVE_ENTRY, rows)
    except asyncpg.UniqueViolationError:
        return False
    return True


DELETE_ENTRY = f"DELETE FROM knowledge_entries WHERE id = $1 RETURNING {ENTRY_COLUMNS}"


async def delete_entry(connection: Connection, entry_id: UUID) -> KnowledgeEntry | None:
    row = await connection.fetchrow(DELETE_ENTRY, entry_id)
    return None if row is None else _entry(row)


# --- what is searched -----------------------------------------------------------------------------


class Changes(Struct, frozen=True):
    """What came since a version: entries as they are now, and the ids of all that are in use."""

    version: int
    entries: tuple[Known, ...]
    ids: frozenset[UUID]


CHANGED_SINCE = """
SELECT id, key, locale, question, answer, phrasings FROM knowledge_entries
WHERE version > $1 AND enabled
"""
IDS_IN_USE = "SELECT id FROM knowledge_entries WHERE enabled"


async def changes_since(connection: Connection, seen: int) -> Changes:
    """Consistent: read in one snapshot."""
    async with in_transaction(connection, isolation="repeatable_read", readonly=True):
        now = await version(connection)
        changed = await connection.fetch(CHANGED_SINCE, seen)
        ids = frozenset(row["id"] for row in await connection.fetch(IDS_IN_USE))
    return Changes(now, tuple(_known(row) for row in changed), ids)


READ_VECTORS = """
SELECT text_hash, vector FROM knowledge_vectors WHERE encoder = $1 AND text_hash = ANY($2)
"""


async def read_vectors(
    connection: Connection, encoder: str, hashes: Sequence[bytes]
) -> dict[bytes, bytes]:
    rows = await connection.fetch(READ_VECTORS, encoder, hashes)
    return {row["text_hash"]: row["vector"] for row in rows}


KEEP_VECTORS = """
INSERT INTO knowledge_vectors (encoder, text_hash, vector)
SELECT $1, text_hash, vector FROM unnest($2::bytea[], $3::bytea[]) AS new (text_hash, vector)
ORDER BY text_hash
ON CONFLICT DO NOTHING
"""


async def keep_vectors(
    connection: Connection, encoder: str, vectors: Mapping[bytes, bytes]
) -> None:
    """By the hashes of their texts."""
    await connection.execute(KEEP_VECTORS, encoder, list(vectors), list(vectors.values()))


DROP_VECTORS = "DELETE FROM knowledge_vectors WHERE text_hash = ANY($1)"


async def drop_vectors(connection: Connection, hashes: Sequence[bytes]) -> None:
    await connection.execute(DROP_VECTORS, hashes)


# --- what nobody could answer ---------------------------------------------------------------------


class Asked(Struct, frozen=True):
    """A question, as often as it was asked since the last time it was written down."""

    id: UUID
    text: str
    locale: Locale | None
    count: int
    at: datetime


NOTE_UNANSWERED = """
INSERT INTO knowledge_unanswered (id, normal, text, locale, asked_count, first_at, last_at)
SELECT id, normal, text, locale, asked_count, at, at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[])
    AS asked (id, normal, text, locale, asked_count, at)
ORDER BY normal
ON CONFLICT (normal) DO UPDATE SET
    asked_count = least(knowledge_unanswered.asked_count + excluded.asked_count, 1000000),
    last_at = greatest(knowledge_unanswered.last_at, excluded.last_at)
"""


async def note_unanswered(connection: Connection, asked: Mapping[str, Asked]) -> None:
    """By what two ways of typing the same question share."""
    rows = [
        (each.id, normal, each.text, each.locale, each.count, each.at)
        for normal, each in asked.items()
    ]
    await connection.execute(NOTE_UNANSWERED, *zip(*rows, strict=True))


TRIM_UNANSWERED = """
DELETE FROM knowledge_unanswered WHERE id IN (
    SELECT id FROM knowledge_unanswered ORDER BY last_at DESC OFFSET $1
)
"""


async def trim_unanswered(connection: Connection, limit: int) -> None:
    """Keep those asked last."""
    await connection.execute(TRIM_UNANSWERED, limit)


UNANSWERED_COLUMNS = "id, text, locale, asked_count, first_at, last_at"

LIST_UNANSWERED = f"""
SELECT {UNANSWERED_COLUMNS}, count(*) OVER () AS total FROM knowledge_unanswered
ORDER BY asked_count DESC, last_at DESC, id
OFFSET $1 LIMIT $2
"""


async def list_unanswered(
    connection: Connection, offset: int, limit: int
) -> tuple[tuple[UnansweredQuestion, ...], int]:
    """And how many there are in all. Behind the end nothing is counted."""
    rows = await connection.fetch(LIST_UNANSWERED, offset, limit)
    return tuple(_question(row) for row in rows), rows[0]["total"] if rows else 0


TAKE_UNANSWERED = f"DELETE FROM knowledge_unanswered WHERE id = $1 RETURNING {UNANSWERED_COLUMNS}"


async def take_unanswered(connection: Connection, id: UUID) -> UnansweredQuestion | None:
    row = await connection.fetchrow(TAKE_UNANSWERED, id)
    return None if row is None else _question(row)


def _entry(row: asyncpg.Record) -> KnowledgeEntry:
    return KnowledgeEntry(
        row["id"],
        row["question"],
        row["answer"],
        tuple(row["phrasings"]),
        tuple(row["tags"]),
        row["locale"],
        row["enabled"],
        row["key"],
        row["created_at"],
        row["updated_at"],
    )


def _known(row: asyncpg.Record) -> Known:
    return Known(
        row["id"],
        row["key"],
        row["locale"],
        row["question"],
        row["answer"],
        tuple(row["phrasings"]),
    )


def _question(row: asyncpg.Record) -> UnansweredQuestion:
    return UnansweredQuestion(
        row["id"],
        row["text"],
        row["locale"],
        row["asked_count"],
        row["first_at"],
        row["last_at"],
    )
