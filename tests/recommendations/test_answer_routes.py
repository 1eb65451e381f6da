"""Recommendations over HTTP: the shapes of the contract, wrong questions, and what is counted."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import asyncpg
import pytest

from kefu.storage.database import DatabasePool
from kefu.storage.errors import StoreUnavailable
from tests.recommendations.shelves import id_of
from tests.recommendations.shop_page import SHOP, ShopPage, bearer, customer_of, guest_of
from tests.recommendations.town import Town

FOR_VIEWER = "/api/recommendations/for-viewer"


@pytest.fixture
async def page(town: Town) -> AsyncIterator[ShopPage]:
    page = ShopPage(town)
    for name, numbers in {"anna": [1, 2, 3], "ben": [1, 2], "carl": [2, 3, 4]}.items():
        for number in numbers:
            town.clock.advance(1)  # histories are in the order of seconds
            await page.view(number, session_id=name)
    await town.catch_up()
    yield page
    await page.http.aclose()


def similar_to(number: int) -> str:
    return f"/api/products/{id_of(number)}/recommendations"


async def test_similar_products_have_the_shape_of_the_contract(page: ShopPage) -> None:
    answer = await page.http.get(similar_to(1), params={"limit": 2}, headers={"origin": SHOP})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.json() == {
        "data": [
            {
                "id": str(id_of(number)),
                "name": f"product {number}",
                "price": price,
                "image_url": f"/{number}.png",
                "score": pytest.approx(score),
            }
            for number, price, score in ((2, 10, 2 / 6**0.5), (3, 9.5, 0.5))
        ],
        "meta": {"algorithm": "collaborative_filtering", "generated_at": _shown(page)},
    }


async def test_six_are_answered_unless_told_otherwise(page: ShopPage) -> None:
    await page.views(*({"product_id": str(id_of(n)), "session_id": "x"} for n in range(1, 20)))
    await page.town.catch_up()
    assert len((await page.http.get(similar_to(1))).json()["data"]) == 6
    answer = await page.http.get(similar_to(1), params={"limit": 50})
    assert len(answer.json()["data"]) == 18


async def test_an_unknown_product_is_not_found(page: ShopPage) -> None:
    answer = await page.http.get(similar_to(100))
    assert (answer.status_code, answer.json()["code"]) == (404, "PRODUCT_NOT_FOUND")
    assert (await page.http.get("/api/products/7/recommendations")).status_code == 404


@pytest.mark.parametrize("limit", ["0", "51", "-1", "six", "1.5", "", "９", "9" * 30])
async def test_a_wrong_limit_is_refused_by_its_name(page: ShopPage, limit: str) -> None:
    headers = bearer(page.tokens.customer("anna"))
    for path in (similar_to(1), FOR_VIEWER):
        answer = await page.http.get(path, params={"limit": limit}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
        assert "limit" in str(answer.json())


async def test_a_viewer_is_told_because_of_what(page: ShopPage) -> None:
    answer = await page.http.get(FOR_VIEWER, params={"session_id": "ben", "limit": 2})
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert [each["name"] for each in data] == ["product 3", "product 4"]
    assert data[0]["because"] == {"id": str(id_of(2)), "name": "product 2"}
    assert answer.json()["meta"]["algorithm"] == "collaborative_filtering"


async def test_whose_recommendations_they_are_is_known_by_token_or_session(
    page: ShopPage,
) -> None:
    await page.view(1, page.tokens.customer("dora"))
    await page.town.catch_up()
    assert page.town.index.history(customer_of("dora"), 9) == [1]
    by_token = await page.http.get(FOR_VIEWER, headers=bearer(page.tokens.customer("dora")))
    assert "product 1" not in [each["name"] for each in by_token.json()["data"]]
    guest = await page.http.get(FOR_VIEWER, headers=bearer(page.tokens.guest("ben")))
    session = await page.http.get(FOR_VIEWER, params={"session_id": "ben"})
    assert guest.json()["data"] == session.json()["data"] != []


async def test_reading_joins_nobody(page: ShopPage) -> None:
    headers = bearer(page.tokens.customer("dora"))
    answer = await page.http.get(FOR_VIEWER, params={"session_id": "ben"}, headers=headers)
    assert answer.status_code == 200
    await page.town.catch_up()
    assert page.town.index.history(guest_of("ben"), 9) == [2, 1]


async def test_nobody_and_agents_are_recommended_nothing(page: ShopPage) -> None:
    assert (await page.http.get(FOR_VIEWER)).status_code == 401
    for wrong in ("", "x" * 129, "a\0b"):
        answer = await page.http.get(FOR_VIEWER, params={"session_id": wrong})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    answer = await page.http.get(FOR_VIEWER, headers=bearer(page.agent_token()))
    assert answer.status_code == 403


async def test_what_sells_out_is_gone_with_the_next_request(page: ShopPage) -> None:
    async def names() -> list[str]:
        return [each["name"] for each in (await page.http.get(similar_to(1))).json()["data"]]

    assert "product 2" in await names()
    page.town.shelves.set_stock(2, 0)
    assert "product 2" not in await names()


async def test_the_catalogue_away_is_a_reason_to_come_back(page: ShopPage) -> None:
    page.town.shelves.is_away = True
    answer = await page.http.get(similar_to(1))
    assert (answer.status_code, answer.json()["code"]) == (503, "OVERLOADED")


# --- shown and clicked ----------------------------------------------------------------------------


async def days(pool: DatabasePool) -> list[dict[str, Any]]:
    rows = await pool.fetch("SELECT * FROM recommendation_days ORDER BY day")
    return [dict(row) for row in rows]


async def test_what_was_shown_and_clicked_is_counted_by_day(
    page: ShopPage, pool: DatabasePool
) -> None:
    day = page.town.clock.now().date()
    await page.http.get(similar_to(1), params={"limit": 2})
    await page.http.get(FOR_VIEWER, params={"session_id": "ben", "limit": 1})
    await page.view(3, session_id="ben", source="recommendation")
    await page.view(3, session_id="ben", source="recommendation")  # counts once a day
    await page.view(4, session_id="ben", source="recommendation", dwell_ms=10)
    await page.town.tally.flush()
    await page.town.tally.flush()
    first = {"day": day, "shown_on_page": 2, "shown_for_viewer": 1, "clicked": 1, "shown": 3}
    assert await days(pool) == [first]

    page.town.clock.advance(24 * 3600)
    await page.http.get(similar_to(1), params={"limit": 1})
    await page.town.tally.flush()
    second = {**first, "day": date.fromordinal(day.toordinal() + 1), "shown_on_page": 1}
    assert await days(pool) == [first, {**second, "shown_for_viewer": 0, "clicked": 0, "shown": 1}]


async def test_what_could_not_be_written_is_written_later(
    page: ShopPage, pool: DatabasePool, database: str
) -> None:
    await page.http.get(similar_to(1), params={"limit": 2})
    broken = await asyncpg.create_pool(database, min_size=0, max_size=1)
    broken.terminate()
    page.town.tally._pool = broken
    with pytest.raises(StoreUnavailable):
        await page.town.tally.flush()
    await page.http.get(similar_to(1), params={"limit": 1})
    page.town.tally._pool = pool
    await page.town.tally.flush()
    assert [each["shown"] for each in await days(pool)] == [3]


def _shown(page: ShopPage) -> str:
    return page.town.clock.now().isoformat().replace("+00:00", "Z")
