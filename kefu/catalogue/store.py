"""The SQL of the catalogue: each statement with the one function that runs it.

Every transaction that writes locks the catalogue first and so is alone with it: what it has read is
still true when it writes. Each product it writes gets a version of its own, higher than any before.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
from msgspec import UNSET, Struct, UnsetType

from kefu.catalogue.messages import Card, Change
from kefu.catalogue.state import Category
from kefu.storage.database import Connection, in_transaction
from protocol.catalogue import Product, StockLevel

LOCK = "SELECT version FROM catalogue_version FOR UPDATE"


async def lock(connection: Connection) -> None:
    """From here to the commit nobody else writes the catalogue."""
    await connection.execute(LOCK)


RAISE_VERSION = "UPDATE catalogue_version SET version = version + $1 RETURNING version"


async def _raise_version(connection: Connection, count: int) -> int:
    """The version before the `count` new ones."""
    return int(await connection.fetchval(RAISE_VERSION, count)) - count


# --- categories -----------------------------------------------------------------------------------

ALL_CATEGORIES = """
SELECT id, name, slug, parent_id, sort_order, depth FROM categories
ORDER BY sort_order, created_at, id
"""


async def all_categories(connection: Connection) -> dict[UUID, Category]:
    """In the order in which they are shown."""
    rows = await connection.fetch(ALL_CATEGORIES)
    return {row["id"]: Category(**row) for row in rows}


INSERT_CATEGORY = """
INSERT INTO categories (id, name, slug, parent_id, sort_order, depth, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
"""


async def insert_category(connection: Connection, category: Category, now: datetime) -> None:
    await connection.execute(INSERT_CATEGORY, *_category_values(category), now)


UPDATE_CATEGORY = """
UPDATE categories SET
    name = $2, slug = $3, parent_id = $4, sort_order = $5, depth = $6, updated_at = $7
WHERE id = $1
"""


async def update_categories(
    connection: Connection, categories: Iterable[Category], now: datetime
) -> None:
    values = [(*_category_values(each), now) for each in categories]
    await connection.executemany(UPDATE_CATEGORY, values)


DELETE_CATEGORY = "DELETE FROM categories WHERE id = $1"


async def delete_category(connection: Connection, id: UUID) -> None:
    await connection.execute(DELETE_CATEGORY, id)


HAS_PRODUCTS = "SELECT EXISTS (SELECT FROM products WHERE category_id = $1)"


async def has_products(connection: Connection, category_id: UUID) -> bool:
    return bool(await connection.fetchval(HAS_PRODUCTS, category_id))


HAS_CATEGORY = "SELECT EXISTS (SELECT FROM categories WHERE id = $1)"


async def has_category(connection: Connection, id: UUID) -> bool:
    return bool(await connection.fetchval(HAS_CATEGORY, id))


# --- products -------------------------------------------------------------------------------------

PRODUCT_COLUMNS = """
    id, name, price, currency, image_url, category_id, stock, is_active, key, created_at, updated_at
"""
SELLABLE = "deleted_at IS NULL AND is_active AND (stock IS NULL OR stock > 0)"

# The plan must be made for what is asked: one for all questions would read the whole table for
# each. $1 the words as a tsquery, or $4 the key; $2 a category or one of those above; $3 is_active.
PLAN_FOR_WHAT_IS_ASKED = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"
FITTING = """
    deleted_at IS NULL
    AND ($1::text IS NULL OR words @@ $1::text::tsquery OR key = $4)
    AND ($3::boolean IS NULL OR is_active = $3)
    AND ($2::uuid IS NULL OR category_id IN (
        SELECT id FROM categories WHERE $2 IN (id, parent_id)
            OR parent_id IN (SELECT id FROM categories WHERE parent_id = $2)))
"""


class Asked(Struct, frozen=True):
    """Which products: all of None is all. The last made come first, or those most like `liked`."""

    needed: str | None = None
    liked: str | None = None
    key: str | None = None
    category_id: UUID | None = None
    is_active: bool | None = None


FIND_PRODUCTS = f"""
SELECT {PRODUCT_COLUMNS} FROM products WHERE {FITTING}
ORDER BY ts_rank(words, $5::text::tsquery, 2) DESC, number DESC
OFFSET $6 LIMIT $7
"""


async def find_products(
    connection: Connection, asked: Asked, offset: int, limit: int
) -> tuple[Product, ...]:
    async with in_transaction(connection):
        await connection.execute(PLAN_FOR_WHAT_IS_ASKED)
        values = (asked.needed, asked.category_id, asked.is_active, asked.key, asked.liked)
        rows = await connection.fetch(FIND_PRODUCTS, *values, offset, limit)
    return tuple(_product(row) for row in rows)


COUNT_PRODUCTS = f"SELECT count(*) FROM products WHERE {FITTING}"


async def count_products(connection: Connection, asked: Asked) -> int:
    async with in_transaction(connection):
        await connection.execute(PLAN_FOR_WHAT_IS_ASKED)
        values = (asked.needed, asked.category_id, asked.is_active, asked.key)
        return int(await connection.fetchval(COUNT_PRODUCTS, *values))


PRODUCT_BY_ID = f"SELECT {PRODUCT_COLUMNS} FROM products WHERE id = $1 AND deleted_at IS NULL"


async def product_by_id(connection: Connection, id: UUID) -> Product | None:
    row = await connection.fetchrow(PRODUCT_BY_ID, id)
    return None if row is None else _product(row)


LAST_NUMBER = "SELECT coalesce(max(number), 0) FROM products"


async def last_number(connection: Connection) -> int:
    """How many there ever were, about: a number that was given and rolled back is never used."""
    return int(await connection.fetchval(LAST_NUMBER))


class Known(Struct, frozen=True):
    """A product that has an id or a key which somebody names; deleted ones keep their id alone."""

    product: Product
    is_deleted: bool


KNOWN_PRODUCTS = f"""
SELECT {PRODUCT_COLUMNS}, deleted_at FROM products
WHERE id = ANY($1) OR (key = ANY($2) AND deleted_at IS NULL)
"""


async def known_products(
    connection: Connection, ids: Collection[UUID], keys: Collection[str]
) -> list[Known]:
    rows = await connection.fetch(KNOWN_PRODUCTS, list(ids), list(keys))
    return [Known(_product(row), row["deleted_at"] is not None) for row in rows]


class Written(Struct, frozen=True):
    """A product with the pieces of its name; UNSET where the name is what it was."""

    product: Product
    pieces: list[str] | UnsetType


# Two statements, because one that does both takes a number for every product that is there already.
INSERT_PRODUCT = """
INSERT INTO products (id, name, price, currency, image_url, category_id, stock, is_active, key,
    created_at, updated_at, version, words)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, array_to_tsvector($13::text[]))
"""


async def insert_products(connection: Connection, written: Sequence[Written]) -> None:
    await _write(connection, INSERT_PRODUCT, written)


UPDATE_PRODUCT = """
UPDATE products SET
    name = $2, price = $3, currency = $4, image_url = $5, category_id = $6, stock = $7,
    is_active = $8, key = $9, created_at = $10, updated_at = $11, version = $12,
    words = coalesce(array_to_tsvector($13::text[]), words)
WHERE id = $1
"""


async def update_products(connection: Connection, written: Sequence[Written]) -> None:
    await _write(connection, UPDATE_PRODUCT, written)


async def _write(connection: Connection, statement: str, written: Sequence[Written]) -> None:
    before = await _raise_version(connection, len(written))
    values = [
        (*_product_values(each.product), version, None if each.pieces is UNSET else each.pieces)
        for version, each in enumerate(written, start=before + 1)
    ]
    await connection.executemany(statement, values)


SET_STOCK = """
UPDATE products SET stock = new.stock, updated_at = $3, version = $4 + new.place
FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS new (id, stock, place)
WHERE products.id = new.id AND deleted_at IS NULL
RETURNING products.id
"""


async def set_stock(
    connection: Connection, levels: Sequence[StockLevel], now: datetime
) -> set[UUID]:
    """The ids of those that are there, and so were changed."""
    before = await _raise_version(connection, len(levels))
    ids, stocks = [each.id for each in levels], [each.stock for each in levels]
    rows = await connection.fetch(SET_STOCK, ids, stocks, now, before)
    return {row["id"] for row in rows}


DELETE_PRODUCT = """
UPDATE products SET deleted_at = $2, updated_at = $2, category_id = NULL, version = $3
WHERE id = $1
"""


async def delete_product(connection: Connection, id: UUID, now: datetime) -> None:
    before = await _raise_version(connection, 1)
    await connection.execute(DELETE_PRODUCT, id, now, before + 1)


# --- cards, for other features --------------------------------------------------------------------

CARD_COLUMNS = "id, number, name, price, currency, image_url, category_id"

CARD_BY_ID = f"""
SELECT {CARD_COLUMNS} FROM products WHERE id = $1 AND deleted_at IS NULL AND is_active
"""


async def card_by_id(connection: Connection, id: UUID) -> Card | None:
    row = await connection.fetchrow(CARD_BY_ID, id)
    return None if row is None else _card(row)


NUMBERS = """
SELECT id, number FROM products WHERE id = ANY($1) AND deleted_at IS NULL AND is_active
"""


async def numbers(connection: Connection, ids: Collection[UUID]) -> dict[UUID, int]:
    return {row["id"]: row["number"] for row in await connection.fetch(NUMBERS, list(ids))}


SELLABLE_CARDS = f"SELECT {CARD_COLUMNS} FROM products WHERE number = ANY($1) AND {SELLABLE}"


async def sellable_cards(connection: Connection, numbers: Collection[int]) -> dict[int, Card]:
    rows = await connection.fetch(SELLABLE_CARDS, list(numbers))
    return {row["number"]: _card(row) for row in rows}


FIND_CARDS = f"""
SELECT {CARD_COLUMNS} FROM products WHERE words @@ $1::text::tsquery AND {SELLABLE}
ORDER BY ts_rank(words, $2::text::tsquery, 2) DESC, number DESC
LIMIT $3
"""


async def find_cards(
    connection: Connection, needed: str, liked: str, limit: int
) -> tuple[Card, ...]:
    rows = await connection.fetch(FIND_CARDS, needed, liked, limit)
    return tuple(_card(row) for row in rows)


CHANGES_SINCE = f"""
SELECT version, number, ({SELLABLE}) AS is_sellable, category_id FROM products
WHERE version > $1
ORDER BY version
LIMIT $2
"""


async def changes_since(connection: Connection, since: int, limit: int) -> tuple[Change, ...]:
    rows = await connection.fetch(CHANGES_SINCE, since, limit)
    return tuple(Change(**row) for row in rows)


def _category_values(category: Category) -> tuple[object, ...]:
    return (
        category.id,
        category.name,
        category.slug,
        category.parent_id,
        category.sort_order,
        category.depth,
    )


def _product_values(product: Product) -> tuple[object, ...]:
    return (
        product.id,
        product.name,
        Decimal(str(product.price)),
        product.currency,
        product.image_url,
        product.category_id,
        product.stock,
        product.is_active,
        product.key,
        product.created_at,
        product.updated_at,
    )


def _product(row: asyncpg.Record) -> Product:
    return Product(
        id=row["id"],
        name=row["name"],
        price=_price(row["price"]),
        currency=row["currency"],
        image_url=row["image_url"],
        category_id=row["category_id"],
        stock=row["stock"],
        is_active=row["is_active"],
        key=row["key"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _card(row: asyncpg.Record) -> Card:
    return Card(**{**row, "price": _price(row["price"])})


def _price(price: Decimal) -> int | float:
    """Whole where it is whole: 1000, not 1000.0."""
    return int(price) if price == int(price) else float(price)
