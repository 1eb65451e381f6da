"""The catalogue as other features see it."""

from uuid import UUID

import anyio
import pytest

from kefu.catalogue.messages import Card, Catalogue, Change
from kefu.storage.database import transaction
from kefu.storage.errors import StoreUnavailable
from protocol.catalogue import StockLevel
from tests.catalogue.shop import BOSS, NOBODY, Shop


async def test_a_card_is_shown_until_the_product_is_delisted(shop: Shop) -> None:
    catalogue: Catalogue = shop.cards
    category = await shop.category("a")
    product = await shop.product("Tent", 9.5, category_id=category.id, stock=0)
    card = Card(product.id, 1, "Tent", 9.5, "TWD", None, category.id)
    assert await catalogue.find(product.id) == card
    assert await catalogue.find(NOBODY) is None
    assert await catalogue.numbers([product.id, NOBODY]) == {product.id: 1}
    await shop.products.change(BOSS, product.id, {"is_active": False})
    assert await catalogue.find(product.id) is None
    assert await catalogue.numbers([product.id]) == {}


async def test_what_is_sold_out_delisted_or_deleted_is_not_sellable(shop: Shop) -> None:
    uncounted = await shop.product("tent a")
    one = await shop.product("tent b", stock=1)
    await shop.product("tent c", stock=0)
    await shop.product("tent d", is_active=False)
    gone = await shop.product("tent e")
    await shop.products.delete(BOSS, gone.id)
    assert set(await shop.cards.sellable(range(10))) == {1, 2}
    assert {card.id for card in await shop.cards.search("tent", limit=9)} == {uncounted.id, one.id}
    await shop.products.restock(BOSS, [StockLevel(one.id, 0)])
    assert set(await shop.cards.sellable([1, 2])) == {1}


async def test_numbers_are_dense_and_never_given_twice(shop: Shop) -> None:
    first = await shop.product("a", key="k")
    for _ in range(3):
        with pytest.raises(Exception, match="ALREADY_EXISTS"):
            await shop.product("b", key="k")
        await shop.products.change(BOSS, first.id, {"price": 7})
        await shop.products.change(BOSS, first.id, {"price": 8})
    await shop.products.delete(BOSS, first.id)
    second = await shop.product("b", key="k")
    assert await shop.cards.numbers([first.id, second.id]) == {second.id: 2}


async def test_changes_are_the_latest_states_in_order(shop: Shop) -> None:
    category = await shop.category("a")
    products = [await shop.product(name, category_id=category.id) for name in "abc"]
    assert [each.number for each in await shop.cards.changes(0, limit=9)] == [1, 2, 3]
    seen = (await shop.cards.changes(0, limit=9))[-1].version
    assert await shop.cards.changes(seen, limit=9) == ()

    await shop.products.restock(
        BOSS, [StockLevel(products[1].id, 0), StockLevel(products[0].id, 4)]
    )
    await shop.products.delete(BOSS, products[2].id)
    changes = await shop.cards.changes(seen, limit=9)
    assert changes == (
        Change(seen + 1, 2, False, category.id),
        Change(seen + 2, 1, True, category.id),
        Change(seen + 3, 3, False, None),
    )
    assert await shop.cards.changes(seen, limit=2) == changes[:2]
    assert await shop.cards.changes(seen + 2, limit=2) == changes[2:]


async def test_who_follows_the_changes_misses_none_whoever_writes(shop: Shop) -> None:
    """One follows by pages of three, while five write, delist and delete at once."""
    known: dict[int, bool] = {}
    is_done = anyio.Event()

    async def write(writer: int) -> None:
        for number in range(6):
            product = await shop.product(f"w{writer} {number}")
            await shop.products.change(BOSS, product.id, {"is_active": number % 2 == 0})
            if number % 3 == 0:
                await shop.products.delete(BOSS, product.id)

    async def follow() -> None:
        seen, is_last = 0, False
        while not is_last:
            is_last = is_done.is_set()
            while changes := await shop.cards.changes(seen, limit=3):
                assert [each.version for each in changes] == sorted({c.version for c in changes})
                known.update((each.number, each.is_sellable) for each in changes)
                seen = changes[-1].version

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        async with anyio.create_task_group() as writers:
            for writer in range(5):
                writers.start_soon(write, writer)
        is_done.set()
    sellable = set(await shop.cards.sellable(range(100)))
    assert {number for number, is_sellable in known.items() if is_sellable} == sellable
    assert sorted(known) == list(range(1, 31))


async def test_a_change_that_is_not_committed_hides_none_behind_it(shop: Shop) -> None:
    """The second writer waits: it must not be seen before the first with a lower version."""
    waiting = await shop.product("a")
    seen = (await shop.cards.changes(0, limit=9))[-1].version
    async with anyio.create_task_group() as tasks:
        async with transaction(shop.pool) as connection:
            await connection.execute("UPDATE catalogue_version SET version = version + 1")
            tasks.start_soon(shop.products.restock, BOSS, [StockLevel(waiting.id, 3)])
            await anyio.wait_all_tasks_blocked()
            assert await shop.cards.changes(seen, limit=9) == ()
    assert [each.version for each in await shop.cards.changes(seen, limit=9)] == [seen + 2]


async def test_without_postgresql_everything_says_so(shop: Shop) -> None:
    await shop.pool.close()
    for asking in (
        shop.cards.find(UUID(int=1)),
        shop.cards.numbers([]),
        shop.cards.sellable([]),
        shop.cards.search("tent", limit=1),
        shop.cards.changes(0, limit=1),
    ):
        with pytest.raises(StoreUnavailable):
            await asking
