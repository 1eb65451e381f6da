"""Products found by their names, in Chinese and in English."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.catalogue import store
from kefu.catalogue.words import pieces_of, sought
from kefu.storage.database import connected
from tests.catalogue.shop import Shop

NAMES = (
    "轻量帐篷 四人",
    "登山背包 38L",
    "防水登山鞋",
    "Cloudridge Two-Person Tent",
    "450 lm headlamp",
    "Glass bottle O'Neil \\ 100%",
    "水壶",
)


async def fill(shop: Shop) -> None:
    for name in NAMES:
        await shop.product(name)


@pytest.mark.parametrize(
    ("words", "first", "count"),
    [
        ("帐篷", NAMES[0], 1),
        ("帳篷", NAMES[0], 1),  # traditional
        ("四人帐篷", NAMES[0], 1),
        ("登山包", NAMES[1], 1),  # no word of the name
        ("登山", NAMES[2], 2),
        ("登山鞋", NAMES[2], 1),
        ("包 38 l", NAMES[1], 1),
        ("３８Ｌ", NAMES[1], 1),  # full width
        ("TENTS", NAMES[3], 1),
        ("cloud", NAMES[3], 1),
        ("two person", NAMES[3], 1),
        ("headlamps 450", NAMES[4], 1),
        ("45", "", 0),  # numbers do not begin others
        ("ridge", "", 0),
        ("o'neil & !(", NAMES[5], 1),
        ("glass", NAMES[5], 1),
        ("帐篷 tent", "", 0),
        ("🏕️ ' & |", "", 0),
    ],
)
async def test_a_product_is_found_by_all_the_words(
    shop: Shop, client: httpx.AsyncClient, words: str, first: str, count: int
) -> None:
    await fill(shop)
    for path in ("/api/admin/products", "/api/products"):
        answer = await client.get(path, params={"q": words})
        found = [each["name"] for each in answer.json()["data"]["products"]]
        assert (len(found), "".join(found[:1])) == (count, first)
    cards = await shop.cards.search(words, limit=10)
    assert ("".join(card.name for card in cards[:1]), len(cards)) == (first, count)


async def test_who_has_the_word_comes_before_who_has_its_characters(shop: Shop) -> None:
    await shop.product("水壶")
    await shop.product("壶口瀑布取水器")
    found = [card.name for card in await shop.cards.search("水壶", limit=5)]
    assert found == ["水壶", "壶口瀑布取水器"]
    assert len(await shop.cards.search("水壶", limit=1)) == 1


async def test_a_new_name_is_found_and_the_old_one_is_not(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    product = await shop.product("tent")
    address = f"/api/admin/products/{product.id}"
    await client.patch(address, json={"stock": 4})
    assert len(await shop.cards.search("tent", limit=5)) == 1
    await client.patch(address, json={"name": "hut"})
    assert await shop.cards.search("tent", limit=5) == ()
    assert len(await shop.cards.search("huts", limit=5)) == 1


async def test_administrators_find_by_key_as_well(shop: Shop, client: httpx.AsyncClient) -> None:
    await shop.product("tent", key="A-7/帐")
    query = {"q": "A-7/帐"}
    assert (await client.get("/api/admin/products", params=query)).json()["data"]["total"] == 1
    assert (await client.get("/api/products", params=query)).json()["data"]["products"] == []


@given(st.text(max_size=60))
async def test_any_text_is_cut_into_letters_and_digits(text: str) -> None:
    (pieces,) = await pieces_of([text])
    assert all(piece.isalnum() or not piece.isascii() for piece in pieces)
    assert "" not in pieces
    looked = await sought(text)
    assert (looked is None) is (pieces == [])


async def test_any_text_is_a_question_to_postgresql(shop: Shop) -> None:
    odd = ["a" * 200, "' | '", "\\", "字" * 200, "ß İ ǅ", "1'2\\3", "\ud800x", "é", "𠀀𠀁", "ｶﾞ"]
    for text in odd:
        product = await shop.product(text.encode(errors="ignore").decode() or "x")
        if await sought(text) is not None:
            found = await shop.cards.search(text, limit=100)
            assert product.id in [card.id for card in found], text


async def test_a_search_reads_the_index_and_a_list_no_more_than_its_page(shop: Shop) -> None:
    async with connected(shop.pool) as connection:
        await connection.execute(
            "INSERT INTO products (id, name, price, currency, words, version, created_at,"
            " updated_at) SELECT gen_random_uuid(), 'p' || n, 1, 'CNY',"
            " array_to_tsvector(ARRAY['p', n::text]), n, now(), now()"
            " FROM generate_series(1, 5000) AS n"
        )
        await connection.execute("VACUUM ANALYZE products")

        async def plan(needed: str | None) -> str:
            values = (needed, None, None, None, needed, 0, 5)
            rows = await connection.fetch(f"EXPLAIN {store.FIND_PRODUCTS}", *values)
            return "\n".join(row[0] for row in rows)

        assert "products_words_idx" in await plan("'p' & '77'")
        listed = await plan(None)
        assert "products_number_key" in listed
        assert "Sort" not in listed
