"""Views over HTTP: who looks, what counts, and what is refused before anything is written."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from kefu.recommendations.messages import View
from kefu.recommendations.recording import OLDEST_S
from kefu.recommendations.views import packed, unpacked
from kefu.storage.database import DatabasePool
from kefu.storage.redis import open_redis
from kefu.storage.redis_calls import RedisCalls
from tests.fakes.proxy import proxy_to
from tests.recommendations.naive_index import HISTORY
from tests.recommendations.shelves import id_of
from tests.recommendations.shop_page import SHOP, ShopPage, bearer, customer_of, guest_of
from tests.recommendations.town import PREFIX, Town, open_town
from tests.until import until

RECORDED = (202, {"recorded": True})


@pytest.fixture
async def page(town: Town) -> AsyncIterator[ShopPage]:
    page = ShopPage(town)
    yield page
    await page.http.aclose()


def unrecorded(reason: str) -> tuple[int, dict[str, Any]]:
    return 202, {"recorded": False, "reason": reason}


async def history(page: ShopPage, viewer: Any) -> list[int]:
    await page.town.catch_up()
    return page.town.index.history(viewer, 99)


async def test_a_customer_and_a_guest_are_viewers(page: ShopPage) -> None:
    assert await page.view(7, page.tokens.customer("anna")) == RECORDED
    assert await page.view(7, session_id="tab-1") == RECORDED
    assert await page.view(8, page.tokens.guest("tab-1")) == RECORDED
    assert await history(page, customer_of("anna")) == [7]
    assert set(await history(page, guest_of("tab-1"))) == {7, 8}


async def test_a_view_counts_after_three_seconds_and_once_a_day(page: ShopPage) -> None:
    token = page.tokens.customer("anna")
    for dwell_ms in (0, 2999, 3000):
        assert await page.view(7, token, dwell_ms=dwell_ms) == unrecorded("too_short")
    assert await page.view(7, token, dwell_ms=3000.5) == RECORDED
    assert await page.view(7, token) == unrecorded("seen_today")
    assert await page.view(7, session_id="tab-1") == RECORDED


async def test_who_has_viewed_more_than_is_counted_is_told_so(page: ShopPage) -> None:
    anna = customer_of("anna")
    page.town.index.add(packed(View(anna, number, 1) for number in range(HISTORY)))
    too_many = (202, {"recorded": False, "reason": "too_many"})
    assert await page.view(HISTORY, page.tokens.customer("anna")) == too_many
    assert await page.view(HISTORY, page.tokens.customer("ben")) == RECORDED
    assert HISTORY not in await history(page, anna)


async def test_an_unknown_product_is_not_recorded(page: ShopPage) -> None:
    assert await page.view(100, session_id="tab-1") == unrecorded("unknown_product")
    answer = await page.http.post("/api/products/no-uuid/views", json={})
    assert answer.status_code == 404


async def test_a_flood_of_one_viewer_is_not_recorded(redis: Redis, pool: DatabasePool) -> None:
    async with open_town(redis, pool, per_minute=3) as town:
        page = ShopPage(town)
        found = [await page.view(number, session_id="robot") for number in range(5)]
        assert found == [*[RECORDED] * 3, *[unrecorded("too_many")] * 2]
        town.clock.advance(60)
        assert await page.view(3, session_id="robot") == RECORDED


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/json", None])
async def test_a_beacon_brings_its_token_in_the_body(
    page: ShopPage, content_type: str | None
) -> None:
    body = {"source": "direct", "dwell_ms": 9000, "token": page.tokens.customer("anna")}
    headers = {"origin": SHOP} | ({"content-type": content_type} if content_type else {})
    path = f"/api/products/{id_of(7)}/views"
    answer = await page.http.post(path, content=json.dumps(body), headers=headers)
    assert (answer.status_code, answer.json()) == RECORDED
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert await history(page, customer_of("anna")) == [7]


@pytest.mark.parametrize("path", [f"/api/products/{id_of(7)}/views", "/api/views"])
async def test_pages_of_allowed_shops_may_send_views(page: ShopPage, path: str) -> None:
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = await page.http.options(path, headers={"origin": SHOP, **asked})
    assert answer.headers["access-control-allow-origin"] == SHOP
    answer = await page.http.options(path, headers={"origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in answer.headers


async def test_nobody_is_no_viewer(page: ShopPage) -> None:
    status, answer = await page.view(7)
    assert (status, answer["code"]) == (401, "UNAUTHORIZED")
    status, answer = await page.view(7, "no token", session_id="tab-1")
    assert (status, answer["code"]) == (401, "UNAUTHORIZED")
    page.town.clock.advance(7200)
    expired = page.tokens.customer("anna", ttl_s=-1)
    assert (await page.view(7, token=expired))[0] == 401


async def test_an_agent_is_no_viewer(page: ShopPage) -> None:
    status, answer = await page.view(7, page.agent_token(), session_id="tab-1")
    assert (status, answer["code"]) == (403, "FORBIDDEN")
    body = {"source": "direct", "dwell_ms": 9000, "token": page.agent_token()}
    answer = await page.http.post(f"/api/products/{id_of(7)}/views", json=body)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "elsewhere"},
        {"source": None},
        {"dwell_ms": -1},
        {"dwell_ms": "3001"},
        {"dwell_ms": 1e11},
        {"dwell_ms": None},
        {"session_id": ""},
        {"session_id": "x" * 129},
        {"session_id": "a\0b"},
        {"session_id": 7},
        {"token": ""},
        {"timestamp": "yesterday"},
        {"timestamp": "2026-11-21T09:00:00"},
        {"timestamp": 1_800_000_000},
    ],
)
async def test_a_wrong_body_is_refused(page: ShopPage, redis: Redis, wrong: dict[str, Any]) -> None:
    status, answer = await page.view(7, **{"session_id": "tab-1", **wrong})
    assert (status, answer["code"]) == (400, "INVALID_MESSAGE")
    event = {"product_id": str(id_of(7)), "session_id": "tab-1", **wrong}
    answer = await page.views({"product_id": str(id_of(8)), "session_id": "tab-1"}, event)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert await redis.keys(f"{PREFIX}*") == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b'"text"', b"[" * 5000])
async def test_what_is_no_json_object_is_refused(page: ShopPage, raw: bytes) -> None:
    for path in (f"/api/products/{id_of(7)}/views", "/api/views"):
        answer = await page.http.post(path, content=raw)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")


async def test_a_body_that_is_too_large_is_refused(page: ShopPage) -> None:
    answer = await page.http.post(f"/api/products/{id_of(7)}/views", content=b" " * 17_000)
    assert answer.status_code == 413
    answer = await page.http.post("/api/views", content=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413


async def test_a_time_of_the_future_or_long_ago_is_believed_up_to_a_day(page: ShopPage) -> None:
    now = page.town.clock.now()
    times = {1: now - timedelta(hours=3), 2: now + timedelta(days=9), 3: now - timedelta(days=9)}
    for number, at in times.items():
        assert await page.view(number, session_id="tab", timestamp=at.isoformat()) == RECORDED
    portions, _ = await page.town.log.read({})
    rows = [row for portion in portions for row in unpacked(portion.views).tolist()]
    told = {product: at - int(now.timestamp()) for _, _, product, at in rows}
    assert told == {1: -3 * 3600, 2: 0, 3: -OLDEST_S}


# --- signing in -----------------------------------------------------------------------------------


async def test_a_guest_who_signs_in_keeps_what_they_viewed(page: ShopPage) -> None:
    await page.view(1, session_id="tab-1")
    await page.view(2, page.tokens.guest("visit-1"))
    anna = page.tokens.customer("anna")
    assert await page.view(3, anna, session_id="tab-1") == RECORDED
    assert await page.view(4, page.tokens.guest("visit-1")) == RECORDED
    assert set(await history(page, customer_of("anna"))) == {1, 3}

    body = {"source": "direct", "dwell_ms": 9000, "token": anna}
    path, guest = f"/api/products/{id_of(5)}/views", page.tokens.guest("visit-1")
    answer = await page.http.post(path, json=body, headers=bearer(guest))
    assert answer.status_code == 202
    assert set(await history(page, customer_of("anna"))) == {1, 2, 3, 4, 5}
    assert await page.view(6, session_id="tab-1") == RECORDED
    assert 6 in await history(page, customer_of("anna"))


async def test_a_guest_is_joined_once_and_to_the_first_customer(
    page: ShopPage, redis: Redis
) -> None:
    await page.view(1, session_id="tab-1")
    for number in (2, 3, 4):
        await page.view(number, page.tokens.customer("anna"), session_id="tab-1")
    await page.view(5, page.tokens.customer("ben"), session_id="tab-1")
    later = ShopPage(page.town)  # another instance, which has joined nobody
    await later.view(6, page.tokens.customer("ben"), session_id="tab-1")
    assert set(await history(page, customer_of("anna"))) == {1, 2, 3, 4}
    assert set(await history(page, customer_of("ben"))) == {5, 6}
    joins = [
        fields
        for key in await redis.keys(f"{PREFIX}views:*")
        for _, fields in await redis.xrange(key)
        if b"join" in fields
    ]
    assert joins == [{b"join": guest_of("tab-1").bytes + customer_of("anna").bytes + b"\0"}]


async def test_who_looks_first_and_chats_then_is_one_guest_and_may_still_sign_in(
    page: ShopPage,
) -> None:
    await page.view(1, session_id="tab-1")
    guest = page.tokens.guest("chat-1")
    assert await page.view(2, token=guest, session_id="tab-1") == RECORDED
    assert set(await history(page, guest_of("chat-1"))) == {1, 2}
    anna = page.tokens.customer("anna")
    assert await page.view(3, token=anna, session_id="tab-1") == RECORDED
    assert set(await history(page, customer_of("anna"))) == {1, 2, 3}


async def test_a_beacon_with_a_token_that_is_not_good_counts_for_its_session(
    page: ShopPage,
) -> None:
    assert await page.view(1, token="expired", session_id="tab-1") == RECORDED
    assert set(await history(page, guest_of("tab-1"))) == {1}
    assert (await page.view(1, token="expired"))[0] == 401
    assert (await page.view(1, token=page.agent_token(), session_id="tab-1"))[0] == 403


async def test_who_has_no_token_is_counted_by_where_they_come_from(page: ShopPage) -> None:
    made_up = [{"product_id": str(id_of(1)), "session_id": f"tab-{n}"} for n in range(6)]
    assert (await page.views(*made_up)).status_code == 202
    await page.view(2, page.tokens.customer("anna"))
    assert page.unsigned == [6]
    for _ in range(2):
        answer = await page.views(*made_up * 100)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"


# --- many at once ---------------------------------------------------------------------------------


async def test_many_events_are_answered_in_their_order(page: ShopPage) -> None:
    anna = page.tokens.customer("anna")
    answer = await page.views(
        {"product_id": str(id_of(1)), "session_id": "a"},
        {"product_id": str(id_of(100)), "session_id": "a"},
        {"product_id": str(id_of(2)), "session_id": "a", "dwell_ms": 10},
        {"product_id": str(id_of(1)), "session_id": "a"},
        {"product_id": str(id_of(1)), "token": anna},
        {"product_id": str(id_of(3)), "session_id": "b"},
    )
    assert answer.status_code == 202
    assert answer.json() == [
        {"recorded": True},
        {"recorded": False, "reason": "unknown_product"},
        {"recorded": False, "reason": "too_short"},
        {"recorded": False, "reason": "seen_today"},
        {"recorded": True},
        {"recorded": True},
    ]
    assert await history(page, customer_of("anna")) == [1]
    counts = {
        outcome: page.town.counted("kefu_views_total", outcome=outcome)
        for outcome in ("recorded", "seen_today", "too_short", "unknown_product")
    }
    assert counts == {"recorded": 3, "seen_today": 1, "too_short": 1, "unknown_product": 1}


async def test_a_token_in_the_header_speaks_for_all_events(page: ShopPage) -> None:
    events = [{"product_id": str(id_of(number))} for number in range(60)]
    answer = await page.views(*events, token=page.tokens.customer("anna"))
    assert answer.json() == [{"recorded": True}] * 60
    assert len(await history(page, customer_of("anna"))) == 60


async def test_a_thousand_events_are_taken_and_one_more_is_not(page: ShopPage) -> None:
    events = [
        {"product_id": str(id_of(number % 100)), "session_id": f"tab-{number // 10}"}
        for number in range(1000)
    ]
    answer = await page.views(*events)
    assert answer.json() == [{"recorded": True}] * 1000
    await page.town.catch_up()
    assert len(page.town.index) == 1000
    assert page.town.shelves.asked[0] == 100  # products are looked up together, and once
    for wrong in ([*events, events[0]], []):
        answer = await page.views(*wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")


async def test_one_event_of_nobody_refuses_all(page: ShopPage, redis: Redis) -> None:
    known = {"product_id": str(id_of(1)), "session_id": "a"}
    for nobody in ({}, {"token": "x"}):
        answer = await page.views(known, {"product_id": str(id_of(2)), **nobody})
        assert answer.status_code == 401
    answer = await page.views(known, {"product_id": str(id_of(2)), "token": page.agent_token()})
    assert answer.status_code == 403
    assert await redis.keys(f"{PREFIX}*") == []


# --- when something is away -----------------------------------------------------------------------


async def test_without_redis_nothing_is_recorded_and_when_it_returns_all_is_once(
    page: ShopPage, redis: Redis
) -> None:
    log = page.town.log
    async with proxy_to("127.0.0.1", 9) as proxy:
        client = open_redis(f"redis://127.0.0.1:{proxy.port}/0")
        calls, kept = RedisCalls(client), log._calls
        log._calls = calls
        for again in ({}, {"token": page.tokens.customer("anna")}):
            path, body = f"/api/products/{id_of(7)}/views", {"source": "direct", "dwell_ms": 4000}
            answer = await page.http.post(path, json={**body, "session_id": "tab-1", **again})
            assert (answer.status_code, answer.json()["code"]) == (503, "OVERLOADED")
            assert answer.headers["retry-after"] == "1"
        many = [{"product_id": str(id_of(each)), "session_id": "tab-1"} for each in range(40)]
        assert (await page.views(*many)).status_code == 503
        log._calls = kept
        await until(lambda: calls._sending is None)  # it may still be asking for somebody who left
        await client.aclose()
    assert await redis.keys(f"{PREFIX}*") == []
    assert await page.view(7, session_id="tab-1") == RECORDED
    assert (await page.views(*many)).json().count({"recorded": True}) == 39


async def test_without_the_catalogue_a_view_is_to_be_sent_again(page: ShopPage) -> None:
    page.town.shelves.is_away = True
    status, answer = await page.view(7, session_id="tab-1")
    assert (status, answer["code"]) == (503, "OVERLOADED")
    page.town.shelves.is_away = False
    assert await page.view(7, session_id="tab-1") == RECORDED
    page.town.shelves.is_away = True  # its number is known by now
    assert await page.view(7, session_id="tab-2") == RECORDED


async def test_the_answer_of_many_is_not_kept_by_anybody(page: ShopPage) -> None:
    answer: httpx.Response = await page.views({"product_id": str(id_of(1)), "session_id": "a"})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
