"""The catalogue as other features see it: products that can be shown, found, bought."""

from collections.abc import Collection
from uuid import UUID

from kefu.bodies import WORDS_CHARS
from kefu.catalogue import store
from kefu.catalogue.messages import Card, Change
from kefu.catalogue.words import sought
from kefu.storage.database import DatabasePool, connected


class PostgresCatalogue:
    """See `Catalogue`."""

    def __init__(self, pool: DatabasePool) -> None:
        self._pool = pool

    async def find(self, product_id: UUID) -> Card | None:
        async with connected(self._pool) as connection:
            return await store.card_by_id(connection, product_id)

    async def numbers(self, product_ids: Collection[UUID]) -> dict[UUID, int]:
        async with connected(self._pool) as connection:
            return await store.numbers(connection, product_ids)

    async def sellable(self, numbers: Collection[int]) -> dict[int, Card]:
        async with connected(self._pool) as connection:
            return await store.sellable_cards(connection, numbers)

    async def search(self, words: str, *, limit: int) -> tuple[Card, ...]:
        looked = await sought(words[:WORDS_CHARS])
        if looked is None:
            return ()
        async with connected(self._pool) as connection:
            return await store.find_cards(connection, looked.needed, looked.liked, limit)

    async def changes(self, since: int, *, limit: int) -> tuple[Change, ...]:
        async with connected(self._pool) as connection:
            return await store.changes_since(connection, since, limit)
