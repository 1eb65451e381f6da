"""No test finds anything that the one before it left in the database."""

from collections.abc import Sequence

import asyncpg
import pytest

from tests.databases import Databases

CUSTOMER = """
INSERT INTO customers (id, sub, created_at)
SELECT gen_random_uuid(), 'c' || n, now() FROM generate_series(1, $1) AS n
"""


async def rows(url: str) -> dict[str, list[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        return {name: await connection.fetch(f"TABLE {name}") for (name,) in tables}
    finally:
        await connection.close()


async def execute(url: str, *statements: str, arguments: Sequence[object] = ()) -> None:
    connection = await asyncpg.connect(url)
    for sql in statements:
        await connection.execute(sql, *arguments)
    await connection.close()


@pytest.mark.parametrize("count", [1, 5000])
async def test_what_was_written_is_gone(databases: Databases, count: int) -> None:
    async with databases.lent() as url:
        before = await rows(url)
        await execute(url, CUSTOMER, arguments=(count,))
        await execute(
            url,
            "DELETE FROM slot_owner WHERE slot < 10",
            "UPDATE slot_owner SET epoch = 7",
            "SELECT nextval('products_number_seq')",
        )
    async with databases.lent() as again:
        after = await rows(again)
        number = await asyncpg.connect(again)
        first = await number.fetchval("SELECT nextval('products_number_seq')")
        await number.close()

    assert url == again
    assert before.pop("log_identity") != after.pop("log_identity"), "or Redis would know it"
    assert after == before
    assert first == 1


async def test_who_was_connected_is_cut_off(databases: Databases) -> None:
    async with databases.lent() as url:
        left = await asyncpg.connect(url)
        await left.execute("BEGIN")
        await left.execute("LOCK TABLE customers")

    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        await left.execute("SELECT 1")


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE customers ADD COLUMN shoe_size int",
        "ALTER TABLE customers ALTER COLUMN sub DROP NOT NULL",
        "CREATE TABLE hats (id int)",
        "DROP TABLE knowledge_unanswered",
        "DROP INDEX {index}",
        "CREATE FUNCTION hat() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
async def test_of_a_changed_schema_nothing_is_kept(databases: Databases, sql: str) -> None:
    async with databases.lent() as url:
        connection = await asyncpg.connect(url)
        index = await connection.fetchval(
            "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indrelid"
            " WHERE NOT indisunique AND relname = 'chats' LIMIT 1"
        )
        await connection.execute(sql.format(index=index))
        await connection.close()
    async with databases.lent() as other:
        assert other != url
