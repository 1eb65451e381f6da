"""Ten administrators edit the tree of categories at once: it stays a tree of three levels."""

import random
from collections import Counter
from uuid import UUID

import anyio

from kefu.catalogue import store
from kefu.catalogue.state import Category
from kefu.errors import Problem
from kefu.storage.database import connected
from protocol.catalogue import CategoryPlace
from protocol.codes import ErrorCode
from tests.catalogue.shop import BOSS, Shop

EDITORS = 10
EDITS = 10


async def edit(shop: Shop, ids: list[UUID], dice: random.Random, refused: Counter[str]) -> None:
    for _ in range(EDITS):
        id, other = dice.choice(ids), dice.choice([None, *ids])
        try:
            match dice.randrange(6):
                case 0:
                    ids.append((await shop.category("分类", other)).id)
                case 1:
                    await shop.categories.delete(BOSS, id)
                case 2:
                    await shop.categories.reorder(BOSS, [CategoryPlace(id, dice.randrange(9))])
                case _:
                    await shop.categories.change(BOSS, id, {"parent_id": other})
        except Problem as problem:
            refused[problem.code] += 1


async def all_of(shop: Shop) -> dict[UUID, Category]:
    async with connected(shop.pool) as connection:
        return await store.all_categories(connection)


def levels_above(tree: dict[UUID, Category], category: Category) -> int:
    count, parent_id = 0, category.parent_id
    while parent_id is not None:
        count, parent_id = count + 1, tree[parent_id].parent_id
        assert count < 3, "a cycle, or a fourth level"
    return count


async def test_edits_at_once_make_neither_cycles_nor_a_fourth_level(shop: Shop) -> None:
    ids = [(await shop.category(f"c{number}")).id for number in range(8)]
    refused: Counter[str] = Counter()
    async with anyio.create_task_group() as editors:
        for seed in range(EDITORS):
            editors.start_soon(edit, shop, ids, random.Random(seed), refused)
    assert refused[ErrorCode.UNPROCESSABLE] > 3  # cycles and fourth levels were asked for
    tree = await all_of(shop)
    assert tree
    assert {id: each.depth for id, each in tree.items()} == {
        id: levels_above(tree, each) for id, each in tree.items()
    }
    assert len({each.slug for each in tree.values()}) == len(tree)
    assert await shop.audit.verify() is None


async def test_two_who_put_each_other_below_make_no_cycle(shop: Shop) -> None:
    for _ in range(10):
        first, second = await shop.category("a"), await shop.category("b")
        refused: list[str] = []

        async def put(id: UUID, parent_id: UUID, refused: list[str] = refused) -> None:
            try:
                await shop.categories.change(BOSS, id, {"parent_id": parent_id})
            except Problem as problem:
                refused.append(problem.code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(put, first.id, second.id)
            tasks.start_soon(put, second.id, first.id)
        assert refused == ["UNPROCESSABLE"]
