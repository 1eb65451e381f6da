"""A catalogue and recommendations in memory: they find, fail, or hang, as they are told."""

from collections.abc import Collection
from uuid import UUID

import anyio

from kefu.catalogue.messages import Card, Change
from kefu.recommendations.messages import Recommendations, Recommended


def card(number: int, name: str, price: int | float = 99) -> Card:
    return Card(UUID(int=0xCA00 + number), number, name, price, "CNY", f"/p/{number}.png", None)


TENT = card(1, "山野双人帐篷", 1299)
PACK = card(2, "徒步背包 40L")
BAG = card(3, "羽绒睡袋 Sleeping bag")
LAMP = card(4, "Camping lamp")
LARGE = card(5, "Family tent, four people", 1999.5)
ALL = (TENT, PACK, BAG, LAMP, LARGE)


class _Moody:
    """`error` is raised by every call; `hangs`: no call comes back."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False

    async def _look(self) -> None:
        if self.hangs:
            await anyio.sleep_forever()
        if self.error is not None:
            raise self.error
        await anyio.lowlevel.checkpoint()


class FakeCatalogue(_Moody):
    """Searches generously: what has any character or word of what is looked for."""

    def __init__(self, *cards: Card) -> None:
        super().__init__()
        self.cards = list(cards or ALL)
        self.searched: list[str] = []
        self.found: list[UUID] = []

    async def find(self, product_id: UUID) -> Card | None:
        await self._look()
        self.found.append(product_id)
        return next((each for each in self.cards if each.id == product_id), None)

    async def numbers(self, product_ids: Collection[UUID]) -> dict[UUID, int]:
        await self._look()
        return {each.id: each.number for each in self.cards if each.id in product_ids}

    async def sellable(self, numbers: Collection[int]) -> dict[int, Card]:
        await self._look()
        return {each.number: each for each in self.cards if each.number in numbers}

    async def search(self, words: str, *, limit: int) -> tuple[Card, ...]:
        self.searched.append(words)
        await self._look()
        pieces = words.lower().split() if words.isascii() else list(words)
        hits = (c for c in self.cards if any(piece in c.name.lower() for piece in pieces))
        return tuple(hits)[:limit]

    async def changes(self, since: int, *, limit: int) -> tuple[Change, ...]:
        await self._look()
        return ()


class FakeRecommender(_Moody):
    def __init__(self, *items: Recommended, viewed: tuple[Card, ...] = ()) -> None:
        super().__init__()
        self.items = items
        self.seen = viewed
        self.asked: list[UUID] = []

    async def similar(self, product_id: UUID, *, limit: int) -> Recommendations | None:
        await self._look()
        return None

    async def for_viewer(self, viewer: UUID, *, limit: int) -> Recommendations:
        self.asked.append(viewer)
        await self._look()
        return Recommendations(self.items[:limit], "collaborative_filtering")

    async def viewed(self, viewer: UUID, *, limit: int) -> tuple[Card, ...]:
        self.asked.append(viewer)
        await self._look()
        return self.seen[:limit]
