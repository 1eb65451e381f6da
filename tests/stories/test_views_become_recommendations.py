"""People look at products on one instance, and a moment later others are recommended them on
another; the shop sells out, a guest signs in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from kefu.storage.embedded import Stores
from tests.server import People, Server, people_of, running
from tests.until import until

PRODUCTS = "/api/admin/products"
LONG = {"source": "search", "dwell_ms": 4000}


@pytest.fixture
async def variables(stores: Stores, database: str) -> dict[str, str]:
    return {"KEFU_DATABASE_URL": database, "KEFU_REDIS_URL": stores.redis_url}


@pytest.fixture
async def two(
    variables: dict[str, str], database: str
) -> AsyncIterator[tuple["Shop", "Shop", People]]:
    async with running(variables) as left, running(variables) as right:
        async with people_of(left, database) as people:
            token = (await people.agent(role="admin")).token
            async with shop_of(left, token) as one, shop_of(right, token) as other:
                yield one, other, people
        assert left.troubles == right.troubles == []


class Shop:
    def __init__(self, http: httpx.AsyncClient, admin_token: str) -> None:
        self.http = http
        self._admin = {"authorization": f"Bearer {admin_token}"}

    async def product(self, name: str, stock: int = 5) -> str:
        body = {"name": name, "price": 10, "stock": stock}
        made = await self.http.post(PRODUCTS, json=body, headers=self._admin)
        assert made.status_code == 201, made.text
        return str(made.json()["data"]["id"])

    async def sell_out(self, id: str) -> None:
        body = {"items": [{"id": id, "stock": 0}]}
        changed = await self.http.patch(f"{PRODUCTS}/stock", json=body, headers=self._admin)
        assert changed.status_code == 200, changed.text

    async def view(self, id: str, **who: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/api/products/{id}/views", json={**LONG, **who})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def similar(self, id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/products/{id}/recommendations")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def names(self, id: str) -> list[str]:
        return [each["name"] for each in (await self.similar(id))["data"]]

    async def for_viewer(self, **who: str) -> list[str]:
        answer = await self.http.get("/api/recommendations/for-viewer", params=who)
        return [each["name"] for each in answer.json()["data"]]


@asynccontextmanager
async def shop_of(server: Server, token: str) -> AsyncIterator[Shop]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=20) as http:
        yield Shop(http, token)


async def test_what_is_viewed_here_is_recommended_there(two: tuple[Shop, Shop, People]) -> None:
    left, right, people = two
    tent, mat, lamp = [await left.product(name) for name in ("tent", "mat", "lamp")]
    for name, looked_at in {"a": (tent, mat, lamp), "b": (tent, mat), "c": (tent,)}.items():
        for number, id in enumerate(looked_at):
            shop = (left, right)[number % 2]
            assert await shop.view(id, session_id=name) == {"recorded": True}
    assert await right.view(tent, session_id="a") == {"recorded": False, "reason": "seen_today"}

    async def is_known() -> bool:
        return all([await shop.names(tent) == ["mat", "lamp"] for shop in (left, right)])

    await until(is_known)
    told = await right.similar(tent)
    assert told["meta"]["algorithm"] == "collaborative_filtering"
    assert told["data"][0]["score"] == pytest.approx(2 / 6**0.5)

    await left.sell_out(mat)
    assert await right.names(tent) == ["lamp"]

    assert (await right.for_viewer(session_id="c"))[0] == "lamp"
    customer = people.customer()
    await left.view(lamp, session_id="c", token=customer)

    async def is_joined() -> bool:
        answer = await right.http.get(
            "/api/recommendations/for-viewer", headers={"authorization": f"Bearer {customer}"}
        )
        return not {"tent", "lamp"} & {each["name"] for each in answer.json()["data"]}

    await until(is_joined)
