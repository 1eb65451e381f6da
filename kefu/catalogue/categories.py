"""The tree of categories as administrators shape it; every write is in the audit log.

A write reads the whole tree under the lock of the catalogue and decides by it, so that two moves at
once never make a cycle or a fourth level: the second sees the first.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from msgspec.structs import replace

from kefu.audit.messages import Act, By
from kefu.catalogue import store
from kefu.catalogue.ports import World
from kefu.catalogue.slugs import slug_of
from kefu.catalogue.state import Category, Refusal, depth_below, forest, free_slug, moved, nodes
from kefu.catalogue.writing import NO_CATEGORY, differing, require_each_once
from kefu.errors import Problem
from kefu.storage.database import Connection, connected, transaction
from protocol.catalogue import CATEGORIES, CategoryNode, CategoryPlace, NewCategory
from protocol.codes import ErrorCode

SLUG_TAKEN: Final = "Another category has this slug."
FULL: Final = f"There can be {CATEGORIES} categories."
HAS_CHILDREN: Final = "There are categories below this one."
HAS_PRODUCTS: Final = "There are products in this category."
D = TypeVar("D")
_WRITTEN: Final = ("name", "slug", "parent_id", "sort_order", "depth")


class Categories:
    def __init__(self, world: World) -> None:
        self._world = world

    async def tree(self) -> tuple[CategoryNode, ...]:
        async with connected(self._world.pool) as connection:
            return forest(await store.all_categories(connection))

    async def create(self, by: By, new: NewCategory) -> CategoryNode:
        """Raises `Problem`: UNPROCESSABLE for where it may not stand, ALREADY_EXISTS."""
        wanted = new.slug or await slug_of(new.name)
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            known = await store.all_categories(connection)
            if len(known) >= CATEGORIES:
                raise Problem(ErrorCode.UNPROCESSABLE, FULL)
            depth = _allowed(depth_below(known, new.parent_id))
            taken = _slugs(known)
            if new.slug is not None:
                _require_free(new.slug, taken)
            slug = new.slug or free_slug(wanted, taken)
            id = self._world.entropy.uuid()
            made = Category(id, new.name, slug, new.parent_id, sort_order=0, depth=depth)
            await store.insert_category(connection, made, self._world.clock.now())
            await self._note(connection, by, "category.created", None, made)
        return nodes({id: made}, [id])[0]

    async def change(self, by: By, id: UUID, given: Mapping[str, Any]) -> CategoryNode:
        """Raises `Problem`: CATEGORY_NOT_FOUND, and as `create`."""
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            known = await store.all_categories(connection)
            before = _there(known, id)
            top, *below = _moved(known, before, given)
            top = replace(top, **given)
            _require_free(top.slug, _slugs(known) - {before.slug})
            written = [top, *below]
            if top != before:
                now = self._world.clock.now()
                await store.update_categories(connection, written, now)
                await self._note(connection, by, "category.changed", before, top)
        return nodes(known | {each.id: each for each in written}, [id])[0]

    async def delete(self, by: By, id: UUID) -> None:
        """Raises `Problem`: CATEGORY_NOT_FOUND, IN_USE for one that has children or products."""
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            known = await store.all_categories(connection)
            category = _there(known, id)
            if any(each.parent_id == id for each in known.values()):
                raise Problem(ErrorCode.IN_USE, HAS_CHILDREN)
            if await store.has_products(connection, id):
                raise Problem(ErrorCode.IN_USE, HAS_PRODUCTS)
            await store.delete_category(connection, id)
            await self._note(connection, by, "category.deleted", category, None)

    async def reorder(self, by: By, places: Sequence[CategoryPlace]) -> tuple[CategoryNode, ...]:
        """All of them or none. Raises `Problem(UNPROCESSABLE)`: unknown, or named twice."""
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            known = await store.all_categories(connection)
            require_each_once([each.id for each in places], known, NO_CATEGORY)
            before = {each.id: known[each.id].sort_order for each in places}
            new = {each.id: replace(known[each.id], sort_order=each.sort_order) for each in places}
            await store.update_categories(connection, new.values(), self._world.clock.now())
            after = {each.id: each.sort_order for each in places}
            old, now = ({str(id): place for id, place in each.items()} for each in (before, after))
            act = Act(by, "categories.reordered", "category", "several", old, now)
            await self._world.trail.append(connection, act)
            ordered = await store.all_categories(connection)
        return nodes(ordered, [each.id for each in places])

    async def _note(
        self,
        connection: Connection,
        by: By,
        action: str,
        before: Category | None,
        after: Category | None,
    ) -> None:
        subject = after or before
        assert subject is not None
        old, new = differing(before, after, _WRITTEN)
        act = Act(by, action, "category", str(subject.id), old, new)
        await self._world.trail.append(connection, act)


def _moved(
    known: dict[UUID, Category], category: Category, given: Mapping[str, Any]
) -> tuple[Category, ...]:
    if given.get("parent_id", category.parent_id) == category.parent_id:
        return (category,)
    return _allowed(moved(known, category.id, given["parent_id"]))


def _allowed(decided: D | Refusal) -> D:
    """Raises `Problem(UNPROCESSABLE)` for a refusal."""
    if isinstance(decided, Refusal):
        wrong = decided.value
        raise Problem(ErrorCode.UNPROCESSABLE, wrong, fields={"parent_id": wrong})
    return decided


def _slugs(known: Mapping[UUID, Category]) -> set[str]:
    return {each.slug for each in known.values()}


def _require_free(slug: str, taken: set[str]) -> None:
    if slug in taken:
        raise Problem(ErrorCode.ALREADY_EXISTS, SLUG_TAKEN, fields={"slug": SLUG_TAKEN})


def _there(known: Mapping[UUID, Category], id: UUID) -> Category:
    if id not in known:
        raise Problem(ErrorCode.CATEGORY_NOT_FOUND)
    return known[id]
