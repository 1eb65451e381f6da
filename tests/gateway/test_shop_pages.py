"""Pages of allowed shops may ask for the chat from a browser; others, and for other things, not."""

from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.errors import Problem
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.gateway.shop_pages import ShopPages
from protocol.codes import ErrorCode

SHOP = "https://shop.example"
CHAT = "/api/chat/frames"
EVIL = [
    *("https://evil.example", "null", "http://shop.example", "https://shop.example.evil.example"),
    *("https://shop.example:444", "https://SHOP.example", "https://shop.example/", "*"),
]


async def answer(_request: Request) -> Response:
    return Response("good")


async def refuse(_request: Request) -> Response:
    raise Problem(ErrorCode.RATE_LIMITED, retry_after_s=1.0)


@pytest.fixture
def client() -> Iterator[httpx.AsyncClient]:
    app = Starlette(
        routes=[
            Route(CHAT, answer, methods=["GET", "POST"]),
            Route("/ws/chat", refuse),
            Route("/api/agents", answer),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[Middleware(ShopPages, origins=(SHOP, "https://other.example"))],
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kefu")


def preflight(origin: str, method: str = "POST", headers: str = "authorization") -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }


def allowed(response: httpx.Response) -> str | None:
    return response.headers.get("access-control-allow-origin")


async def test_a_page_of_an_allowed_shop_may_ask(client: httpx.AsyncClient) -> None:
    wanted = "authorization,content-type,last-event-id"
    asked = await client.options(CHAT, headers=preflight(SHOP, headers=wanted))
    got = await client.get(CHAT, headers={"origin": SHOP})
    assert (asked.status_code, allowed(asked)) == (200, SHOP)
    assert (got.text, allowed(got)) == ("good", SHOP)
    assert "Origin" in got.headers["vary"], "no cache may give it to another site"


async def test_it_can_read_why_it_was_refused(client: httpx.AsyncClient) -> None:
    refused = await client.get("/ws/chat", headers={"origin": SHOP})
    assert (refused.status_code, allowed(refused)) == (429, SHOP)
    assert refused.headers["access-control-expose-headers"] == "Retry-After"


@pytest.mark.parametrize("origin", EVIL)
async def test_other_pages_may_not(client: httpx.AsyncClient, origin: str) -> None:
    asked = await client.options(CHAT, headers=preflight(origin))
    got = await client.get(CHAT, headers={"origin": origin})
    assert asked.status_code == 400
    assert allowed(asked) is allowed(got) is None


@pytest.mark.parametrize(
    ("method", "headers"), [("DELETE", "authorization"), ("POST", "x-anything")]
)
async def test_what_the_chat_does_not_need_is_not_allowed(
    client: httpx.AsyncClient, method: str, headers: str
) -> None:
    asked = await client.options(CHAT, headers=preflight(SHOP, method, headers))
    assert asked.status_code == 400


async def test_the_rest_of_kefu_is_open_to_no_other_site(client: httpx.AsyncClient) -> None:
    asked = await client.options("/api/agents", headers=preflight(SHOP, "GET"))
    got = await client.get("/api/agents", headers={"origin": SHOP})
    assert allowed(asked) is allowed(got) is None


async def test_cookies_are_never_asked_for(client: httpx.AsyncClient) -> None:
    asked = await client.options(CHAT, headers=preflight(SHOP))
    got = await client.get(CHAT, headers={"origin": SHOP})
    for each in (asked, got):
        assert "access-control-allow-credentials" not in each.headers
