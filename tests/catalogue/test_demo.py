"""The demo shop's catalogue."""

from uuid import UUID

import anyio

from kefu.catalogue.demo import load_demo
from tests.catalogue.shop import BOSS, Shop

DRAWN = {"两人帐篷「云脊」": 1299, "轻量背包 38 L": 699, "钛保温壶 750 ml": 329, "头灯 450 lm": 189}


async def test_the_demo_is_loaded_once_however_many_start(shop: Shop) -> None:
    counts: list[int] = []

    async def load() -> None:
        counts.append(await load_demo(shop.world))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(load)
    assert sorted(counts) == [0, 0, 12]
    assert [act.action for act in await shop.acts()] == ["products.imported"]
    depths = [(each.depth, len(each.children)) for each in await shop.categories.tree()]
    assert depths == [(0, 2), (0, 2), (0, 0)]


async def test_the_four_drawn_products_have_ids_that_stay(shop: Shop) -> None:
    await load_demo(shop.world)
    ids = [UUID(f"d0000000-0000-4000-8000-{number:012d}") for number in (1, 2, 3, 4)]
    found = [await shop.products.read(id) for id in ids]
    assert {each.name: each.price for each in found} == DRAWN
    assert {each.currency for each in found} == {"CNY"}
    assert len(await shop.cards.search("帐篷", limit=9)) == 3


async def test_a_catalogue_that_was_used_is_left_alone(shop: Shop) -> None:
    product = await shop.product("mine")
    await shop.products.delete(BOSS, product.id)
    assert await load_demo(shop.world) == 0
