"""The demo shop's categories and products; loaded once, into a catalogue that was never used.

Their ids are fixed: the demo shop's page, which draws four of them, speaks of them by these.
"""

from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
from msgspec import Struct

from kefu.audit.messages import SYSTEM, Act
from kefu.catalogue import store
from kefu.catalogue.ports import World
from kefu.catalogue.products import made_of
from kefu.catalogue.state import Category
from kefu.catalogue.store import Written
from kefu.catalogue.words import pieces_of
from kefu.storage.database import transaction
from protocol.catalogue import NewProduct

FILE: Final = Path(__file__).parent / "catalogue.json"


class Demo(Struct, frozen=True):
    categories: tuple[Category, ...]
    products: tuple[NewProduct, ...]


_read: Final = msgspec.json.Decoder(Demo).decode


async def load_demo(world: World) -> int:
    """How many products were written: none where anything is or was. Raises StoreUnavailable."""
    demo = _read(await anyio.Path(FILE).read_bytes())
    pieces = await pieces_of(each.name for each in demo.products)
    async with transaction(world.pool) as connection:
        await store.lock(connection)
        if await store.last_number(connection) or await store.all_categories(connection):
            return 0
        for category in demo.categories:
            await store.insert_category(connection, category, world.clock.now())
        made = [made_of(msgspec.structs.asdict(each), world) for each in demo.products]
        written = [Written(*each) for each in zip(made, pieces, strict=True)]
        await store.insert_products(connection, written)
        counts: dict[str, Any] = {"created": len(made), "changed": 0}
        act = Act(SYSTEM, "products.imported", "product", "demo", None, counts)
        await world.trail.append(connection, act)
    return len(made)
