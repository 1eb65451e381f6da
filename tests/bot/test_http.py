"""The HTTP client's limits, and every failure of a connection as a class that says what to do."""

import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ssl import SSLContext

import aiohttp
import anyio
import pytest
from aiohttp import ClientConnectorError, InvalidURL
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kefu.bot import http
from kefu.bot.http import SMALL_BYTES, Client, Reply, host_of, open_client, posted
from kefu.bot.ports import ProviderError, Rejected, Transient
from tests.bot.canned import Canned, client_of
from tests.fakes.upstream.behaviour import Behaviour, Upstream
from tests.fakes.upstream.providers import API_KEY
from tests.fakes.upstream.serving import served

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


async def body_of(client: Client, url: str = "http://upstream/") -> bytes:
    async with posted(client, url, {}, {}) as reply:
        return await reply.small_body()


async def _where(request: Request) -> Response:
    """Who was asked, as the request says it, and which cookies it brought."""
    answer = Response(f"{request.headers['host']} {request.cookies}")
    answer.set_cookie("session", "of-the-provider")
    return answer


async def _elsewhere(_request: Request) -> Response:
    return RedirectResponse("/where", 307)


async def _packed(_request: Request) -> Response:
    return Response(gzip.compress(b"in spite of all"), headers={"Content-Encoding": "gzip"})


@pytest.fixture
async def odd() -> AsyncIterator[str]:
    """A server with ways of its own."""
    ways = {"/where": _where, "/elsewhere": _elsewhere, "/packed": _packed}
    routes = [Route(path, way, methods=["POST"]) for path, way in ways.items()]
    async with served(Starlette(routes=routes)) as address:
        yield address


async def test_the_limits_are_those_of_the_house(certificates: SSLContext) -> None:
    async with open_client(certificates) as client:
        assert isinstance(client, aiohttp.ClientSession)
        limits, connector = client.timeout, client.connector
        assert (limits.connect, limits.sock_connect, limits.sock_read) == (10, 5, 30)
        assert limits.total is None
        assert connector is not None
        assert connector.limit == 100


async def test_no_redirect_is_followed(client: Client, odd: str) -> None:
    async with posted(client, f"{odd}/elsewhere", {}, {}) as reply:
        assert (reply.status, reply.headers["location"]) == (307, "/where")


async def test_a_providers_cookies_are_not_kept(client: Client, odd: str) -> None:
    named = odd.replace("127.0.0.1", "localhost")  # those of a bare address nobody would keep
    for _ in range(2):
        assert (await body_of(client, f"{named}/where")).endswith(b" {}")


async def test_what_comes_packed_unasked_is_unpacked(client: Client, odd: str) -> None:
    assert await body_of(client, f"{odd}/packed") == b"in spite of all"


async def test_the_way_is_the_one_the_environment_names(
    client: Client, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", odd)  # small letters win, should both be set
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert (await body_of(client, "http://far.example/where")).startswith(b"far.example ")
    with pytest.raises(Transient, match="ClientConnectorError"):
        await body_of(client, "http://127.0.0.1:1/where")
    monkeypatch.delenv("http_proxy")
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.setenv("all_proxy", odd)
    assert (await body_of(client, "http://farther.example/where")).startswith(b"farther.example ")


async def test_who_finds_no_connection_free_is_told_so_in_time(
    address: str, certificates: SSLContext, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 1)
    monkeypatch.setattr(http, "POOL_S", 0.05)
    upstream.next("openai", Behaviour(hangs_at=1))
    url, key = f"{address}/v1/chat/completions", {"Authorization": f"Bearer {API_KEY}"}
    async with (
        open_client(certificates) as client,
        posted(client, url, {"stream": True}, key),
    ):
        with pytest.raises(Transient, match="ConnectionTimeoutError"):
            await body_of(client, url)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (aiohttp.ServerDisconnectedError("no"), Transient),
        (aiohttp.ClientOSError("no"), Transient),
        (aiohttp.SocketTimeoutError("no"), Transient),
        (aiohttp.ConnectionTimeoutError("no"), Transient),
        (aiohttp.ClientPayloadError("no"), Transient),
        (ConnectionResetError("no"), Transient),
        (TimeoutError("no"), Transient),
        (InvalidURL("no"), Rejected),
    ],
)
async def test_every_failure_of_the_client_says_what_to_do(
    failure: Exception, kind: type[ProviderError]
) -> None:
    def fail(_url: str) -> Canned:
        raise failure

    client = client_of(fail)
    with pytest.raises(kind):
        await body_of(client)


@pytest.mark.parametrize("url", ["ftp://x/", "nowhere", "http://x:port/", ""])
async def test_an_address_that_is_none_is_never_tried_again(client: Client, url: str) -> None:
    with pytest.raises(Rejected):
        await body_of(client, url)


async def test_a_provider_that_says_nothing_at_all_is_transient_in_time(
    address: str, certificates: SSLContext, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "READ_S", 0.05)
    upstream.next("openai", Behaviour(waits_for=anyio.Event()))
    url, key = f"{address}/v1/chat/completions", {"Authorization": f"Bearer {API_KEY}"}
    async with open_client(certificates) as client:
        with pytest.raises(Transient, match="SocketTimeoutError"):
            async with posted(client, url, {"stream": True}, key):
                pass


async def test_an_answer_that_falls_silent_is_given_up_in_time(
    address: str, client: Client, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "READ_S", 0.05)  # that of the client is the usual one
    begun = b"data: {}\n\n"
    upstream.next("openai", Behaviour(transcript=begun * 2, hangs_at=len(begun) + 3))
    url, key = f"{address}/v1/chat/completions", {"Authorization": f"Bearer {API_KEY}"}
    async with posted(client, url, {"stream": True}, key) as reply:
        events = reply.events()
        assert (await anext(events)).data == b"{}"
        with pytest.raises(Transient, match="TimeoutError"):
            await anext(events)
    with anyio.fail_after(10):
        await upstream.seen[-1].was_left.wait()


async def test_nobody_listening_is_transient(client: Client) -> None:
    with pytest.raises(Transient) as caught:
        await body_of(client, "http://127.0.0.1:1/")
    assert caught.value.code == ClientConnectorError.__name__


async def test_a_body_is_read_to_its_limit_and_no_further() -> None:
    canned = Canned(*[b"x" * 1000] * 200, is_lost=True)
    client = client_of(lambda _: canned)
    assert await body_of(client) == b"x" * SMALL_BYTES
    assert canned.is_closed


async def test_a_lost_connection_is_transient_and_closed() -> None:
    canned = Canned(b"data: 1\n\n", b"data: 2", is_lost=True)
    client = client_of(lambda _: canned)
    async with posted(client, "http://upstream/", {}, {}) as reply:
        events = reply.events()
        assert (await anext(events)).data == b"1"
        with pytest.raises(Transient):
            await anext(events)
    assert canned.is_closed


async def test_a_caller_that_is_cancelled_closes_the_stream() -> None:
    canned = Canned(b"data: 1\n\n", b"data: 2\n\n")
    client = client_of(lambda _: canned)
    with anyio.CancelScope() as scope:
        async with posted(client, "http://upstream/", {}, {}) as reply:
            async for _ in reply.events():
                scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert canned.is_closed


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After-Ms": "250", "Retry-After": "7"}, 0.25),
        ({"Retry-After": "Sat, 21 Nov 2026 09:00:30 GMT"}, 30),
        ({"Retry-After": "Sat, 21 Nov 2026 08:00:30 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e999"}, None),
    ],
)
def test_when_to_come_back_is_read_in_every_way_it_is_written(
    headers: dict[str, str], expected: float | None
) -> None:
    assert Reply(Canned(status=429, headers=headers)).retry_after_s(NOW) == expected


@given(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=40))
def test_whatever_retry_after_says_is_a_time_or_nothing(text: str) -> None:
    reply = Reply(Canned(status=429, headers={"retry-after": text}))
    seconds = reply.retry_after_s(NOW + timedelta(seconds=1))
    assert seconds is None or seconds >= 0


def test_the_host_of_an_address_has_no_port_and_no_path() -> None:
    assert host_of("https://api.coze.cn:8443/v1/") == "api.coze.cn"
