"""The products as administrators keep them, one by one; every write is in the audit log.

A deleted product stays as a row nobody sees: its number must not be given to another one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from kefu.audit.messages import Act, By
from kefu.catalogue import store
from kefu.catalogue.ports import World
from kefu.catalogue.store import Asked, Written
from kefu.catalogue.words import pieces_of, sought
from kefu.catalogue.writing import NO_CATEGORY, NO_PRODUCT, differing, require_each_once
from kefu.errors import Problem
from kefu.storage.database import Connection, connected, transaction
from protocol.catalogue import (
    PRODUCTS,
    NewProduct,
    Product,
    ProductPage,
    ReplaceProduct,
    ShownPage,
    ShownProduct,
    StockLevel,
)
from protocol.codes import ErrorCode

ID_TAKEN: Final = "Another product has this id, or had it."
KEY_TAKEN: Final = "Another product has this key."
FULL: Final = f"There can be {PRODUCTS} products, deleted ones too."
_WRITTEN: Final = ReplaceProduct.__struct_fields__


class Products:
    def __init__(self, world: World) -> None:
        self._world = world

    async def page(
        self,
        *,
        words: str | None,
        category_id: UUID | None,
        is_active: bool | None,
        offset: int,
        limit: int,
    ) -> ProductPage:
        """Of a category: of those below it, too. A product is found by its key as well."""
        asked = await _asked(words, category_id, is_active, key=words)
        async with connected(self._world.pool) as connection:
            found = await store.find_products(connection, asked, offset, limit)
            return ProductPage(found, await store.count_products(connection, asked))

    async def shown(
        self, *, words: str | None, category_id: UUID | None, offset: int, limit: int
    ) -> ShownPage:
        """What everybody sees: those that are not delisted."""
        asked = await _asked(words, category_id, is_active=True)
        async with connected(self._world.pool) as connection:
            found = await store.find_products(connection, asked, offset, limit + 1)
        return ShownPage(tuple(map(_shown, found[:limit])), has_more=len(found) > limit)

    async def read(self, id: UUID) -> Product:
        """Raises `Problem(PRODUCT_NOT_FOUND)`."""
        async with connected(self._world.pool) as connection:
            return _there(await store.product_by_id(connection, id))

    async def read_shown(self, id: UUID) -> ShownProduct:
        """Raises `Problem(PRODUCT_NOT_FOUND)`, also for one that is delisted."""
        product = await self.read(id)
        return _shown(_there(product if product.is_active else None))

    async def create(self, by: By, new: NewProduct) -> Product:
        """Raises `Problem`: ALREADY_EXISTS, UNPROCESSABLE for an unknown category."""
        (pieces,) = await pieces_of([new.name])
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            if await store.last_number(connection) >= PRODUCTS:
                raise Problem(ErrorCode.UNPROCESSABLE, FULL)
            made = made_of(msgspec.structs.asdict(new), self._world)
            await _require_right(connection, None, made)
            await store.insert_products(connection, [Written(made, pieces)])
            await self._note(connection, by, "product.created", None, made)
        return made

    async def replace(self, by: By, id: UUID, new: ReplaceProduct) -> Product:
        """Raises `Problem`: PRODUCT_NOT_FOUND, and as `create`."""
        currency = self._world.currency if new.currency is UNSET else new.currency
        given = {**msgspec.structs.asdict(new), "currency": currency}
        return await self.change(by, id, given)

    async def change(self, by: By, id: UUID, given: Mapping[str, Any]) -> Product:
        """Raises `Problem`: PRODUCT_NOT_FOUND, and as `create`. What stays is not written."""
        pieces = (await pieces_of([given["name"]]))[0] if "name" in given else UNSET
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            before = _there(await store.product_by_id(connection, id))
            if replace(before, **given) == before:
                return before
            after = replace(before, **given, updated_at=self._world.clock.now())
            await _require_right(connection, before, after)
            await store.update_products(connection, [Written(after, pieces)])
            await self._note(connection, by, "product.changed", before, after)
        return after

    async def restock(self, by: By, levels: Sequence[StockLevel]) -> tuple[StockLevel, ...]:
        """All of them or none. Raises `Problem(UNPROCESSABLE)`: unknown, or named twice."""
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            known = await store.set_stock(connection, levels, self._world.clock.now())
            require_each_once([each.id for each in levels], known, NO_PRODUCT)
            act = Act(by, "products.restocked", "product", "several", None, {"count": len(levels)})
            await self._world.trail.append(connection, act)
        return tuple(levels)

    async def delete(self, by: By, id: UUID) -> None:
        """Raises `Problem(PRODUCT_NOT_FOUND)`."""
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            product = _there(await store.product_by_id(connection, id))
            await store.delete_product(connection, id, self._world.clock.now())
            await self._note(connection, by, "product.deleted", product, None)

    async def _note(
        self,
        connection: Connection,
        by: By,
        action: str,
        before: Product | None,
        after: Product | None,
    ) -> None:
        subject = after or before
        assert subject is not None
        old, new = differing(before, after, _WRITTEN)
        act = Act(by, action, "product", str(subject.id), old, new)
        await self._world.trail.append(connection, act)


def made_of(fields: Mapping[str, Any], world: World) -> Product:
    """A new product; what is left out or UNSET is chosen for it."""
    given = {name: value for name, value in fields.items() if value is not UNSET}
    chosen: dict[str, Any] = {
        "id": world.entropy.uuid(),
        "currency": world.currency,
        "image_url": None,
        "category_id": None,
        "stock": None,
        "is_active": True,
        "key": None,
        "created_at": world.clock.now(),
        "updated_at": world.clock.now(),
    }
    return Product(**(chosen | given))


async def _require_right(connection: Connection, before: Product | None, after: Product) -> None:
    """Raises `Problem` for what others have already, and for a category that is not there."""
    keys = [] if after.key is None else [after.key]
    for known in await store.known_products(connection, [after.id], keys):
        if known.product.key == after.key and known.product.id != after.id:
            raise Problem(ErrorCode.ALREADY_EXISTS, KEY_TAKEN, fields={"key": KEY_TAKEN})
        if before is None and known.product.id == after.id:
            raise Problem(ErrorCode.ALREADY_EXISTS, ID_TAKEN, fields={"id": ID_TAKEN})
    category_id = after.category_id
    if category_id is not None and not await store.has_category(connection, category_id):
        wrong = {"category_id": NO_CATEGORY}
        raise Problem(ErrorCode.UNPROCESSABLE, NO_CATEGORY, fields=wrong)


async def _asked(
    words: str | None, category_id: UUID | None, is_active: bool | None, key: str | None = None
) -> Asked:
    """Words without anything to look for fit nothing, where no words fit all."""
    if words is None:
        return Asked(category_id=category_id, is_active=is_active)
    looked = await sought(words)
    needed, liked = (looked.needed, looked.liked) if looked else ("", "")
    return Asked(needed, liked, key, category_id, is_active)


def _shown(product: Product) -> ShownProduct:
    return ShownProduct(**{name: getattr(product, name) for name in ShownProduct.__struct_fields__})


def _there(product: Product | None) -> Product:
    if product is None:
        raise Problem(ErrorCode.PRODUCT_NOT_FOUND)
    return product
