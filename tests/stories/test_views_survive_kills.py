"""kill -9 while views come in, and while a snapshot is made of them: each that was answered counts,
and each counts once."""

from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path

import anyio
import httpx
import pytest

from kefu.storage.embedded import Stores
from tests.server import Server, people_of, running
from tests.stories.test_views_become_recommendations import Shop, shop_of
from tests.until import until

PRODUCTS = ("tent", "mat", "lamp", "stove", "rope", "knife")
VIEWERS = 80
AT_ONCE = 4
EVERY_S = 0.15
"""They last longer than it takes until the first snapshot is made."""
SNAPSHOT_EVERY_S = 10
Pair = tuple[int, int]


def pairs() -> Iterator[Pair]:
    """Who looks at what: no two products have the same viewers."""
    for viewer in range(VIEWERS):
        for product in range(len(PRODUCTS)):
            if (viewer * (product + 2) + product) % 5:
                yield viewer, product


def expected(product: int) -> dict[str, float]:
    """By the formula, every pair counted once."""
    viewers = {each: {v for v, p in pairs() if p == each} for each in range(len(PRODUCTS))}
    mine = viewers[product]
    return {
        PRODUCTS[each]: len(mine & theirs) / sqrt(len(mine) * len(theirs))
        for each, theirs in viewers.items()
        if each != product
    }


class Intake:
    """Several pages send views until their server is gone."""

    def __init__(self, shop: Shop, ids: list[str]) -> None:
        self._shop = shop
        self._ids = ids
        self._waiting = list(pairs())
        self.answered: list[Pair] = []

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(self._send)

    async def _send(self) -> None:
        while self._waiting:
            viewer, product = self._waiting.pop()
            try:
                told = await self._shop.view(self._ids[product], session_id=f"v{viewer}")
            except httpx.TransportError:
                return
            assert told == {"recorded": True}
            self.answered.append((viewer, product))
            await anyio.sleep(EVERY_S)


@pytest.mark.parametrize("happens", ["as they come", "while a snapshot is made"])
async def test_what_was_answered_counts_and_counts_once(
    stores: Stores, database: str, tmp_path: Path, happens: str
) -> None:
    variables = {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_RECO_DIR": str(tmp_path),
        "KEFU_RECO_SNAPSHOT_EVERY_S": str(SNAPSHOT_EVERY_S),
    }

    def is_time(intake: Intake) -> bool:
        if happens == "as they come":
            return len(intake.answered) > 50
        return any(tmp_path.rglob("plan-*"))

    async with running(variables) as first, people_of(first, database) as people:
        token = (await people.agent(role="admin")).token
        async with shop_of(first, token) as shop:
            ids = [await shop.product(name) for name in PRODUCTS]
            intake = Intake(shop, ids)
            await taken_in_until_killed(first, intake, is_time)
    assert 20 < len(intake.answered) < len(list(pairs())), "it was in the middle of it"

    async with running(variables) as second, shop_of(second, token) as shop:
        for viewer, product in pairs():
            told = await shop.view(ids[product], session_id=f"v{viewer}")
            if (viewer, product) in intake.answered:
                assert told == {"recorded": False, "reason": "seen_today"}

        async def is_exact() -> bool:
            for product, id in enumerate(ids):
                found = (await shop.similar(id))["data"]
                scores = {each["name"]: each["score"] for each in found}
                if scores != pytest.approx(expected(product), abs=1e-3):
                    return False
            return True

        await until(is_exact, within_s=20)
        assert second.troubles == []


async def taken_in_until_killed(
    server: Server, intake: Intake, is_time: Callable[[Intake], bool]
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(intake.run)
        await until(lambda: is_time(intake), within_s=30)
        await server.kill()
