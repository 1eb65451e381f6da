"""A shop that sells things: real PostgreSQL, a clock turned by hand, and an open door."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.routing import Route

from kefu.audit.log import AuditLog
from kefu.audit.messages import By
from kefu.catalogue.cards import PostgresCatalogue
from kefu.catalogue.categories import Categories
from kefu.catalogue.import_routes import import_routes
from kefu.catalogue.imports import Imports
from kefu.catalogue.ports import World
from kefu.catalogue.products import Products
from kefu.catalogue.routes import routes
from kefu.errors import Problem
from kefu.storage.database import DatabasePool
from protocol.audit import AuditEntry
from protocol.catalogue import CategoryNode, NewCategory, NewProduct, Product
from protocol.codes import ErrorCode
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy

BOSS = By("agent", None, "Boss", "203.0.113.7")
NOBODY = UUID(int=404)


@dataclass
class Shop:
    """`is_open` says whether whoever calls may write; imports go in batches of three."""

    pool: DatabasePool
    clock: HandClock = field(default_factory=HandClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    is_open: bool = True

    def __post_init__(self) -> None:
        self.audit = AuditLog(self.pool, self.clock)
        self.world = World(self.pool, self.clock, self.entropy, self.audit, "TWD")
        self.categories = Categories(self.world)
        self.products = Products(self.world)
        self.imports = Imports(self.world, batch_rows=3)
        self.cards = PostgresCatalogue(self.pool)

    def routes(self) -> list[Route]:
        return [
            *import_routes(self.imports, self._writer),
            *routes(self.categories, self.products, self._writer),
        ]

    async def _writer(self, request: Request) -> By:
        if not self.is_open:
            raise Problem(ErrorCode.FORBIDDEN)
        return BOSS

    async def category(self, name: str, parent_id: UUID | None = None) -> CategoryNode:
        return await self.categories.create(BOSS, NewCategory(name, parent_id))

    async def product(self, name: str, price: float = 100, **fields: Any) -> Product:
        return await self.products.create(BOSS, NewProduct(name, price, **fields))

    async def acts(self) -> Sequence[AuditEntry]:
        """The newest first."""
        return (await self.audit.page()).entries
