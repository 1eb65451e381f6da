"""What the HTTP side promises whatever the route is."""

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Send

from kefu.errors import Problem
from kefu.gateway.body_limit import BodyLimit
from kefu.gateway.health import Health
from kefu.gateway.http_metrics import HttpMetrics
from kefu.gateway.metrics import Metrics
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.notifications.pulse import Pulse
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from tests.fakes.clock import HandClock
from tests.gateway.stage import simulated

CLOCK = HandClock()
PROBE_S = 1.0  # what Kubernetes waits for, unless it is told otherwise


async def read(request: Request) -> Response:
    return Response(str(len(await request.body())))


async def fail(request: Request) -> Response:
    CLOCK.advance(0.3)
    match request.path_params["how"]:
        case "limited":
            raise Problem(ErrorCode.RATE_LIMITED, retry_after_s=1.2)
        case "store":
            raise StoreUnavailable("gone")
        case _:
            raise RuntimeError("a bug with people's words in it")


def client_of(metrics: Metrics) -> httpx.AsyncClient:
    app = Starlette(
        routes=[Route("/read", read, methods=["POST"]), Route("/fail/{how}", fail)],
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[
            Middleware(HttpMetrics, metrics=metrics, clock=CLOCK, pulse=Pulse(CLOCK)),
            Middleware(BodyLimit, limit_bytes=1000),
        ],
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://kefu")


async def test_a_body_is_read_up_to_its_limit() -> None:
    async with client_of(Metrics()) as client:
        most = await client.post("/read", content=b"x" * 1000)
        more = await client.post("/read", content=b"x" * 1001)
    assert most.text == "1000"
    assert (more.status_code, more.json()["code"]) == (413, "TOO_LARGE")


async def test_a_body_of_unsaid_length_is_counted_as_it_comes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    async with client_of(Metrics()) as client:
        answer = await client.post("/read", content=pieces())
    assert answer.status_code == 413


async def test_each_failure_is_a_typed_answer() -> None:
    async with client_of(Metrics()) as client:
        limited = await client.get("/fail/limited")
        store = await client.get("/fail/store")
        bug = await client.get("/fail/bug")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    assert limited.json()["retry_after_s"] == 1.2
    assert (store.status_code, store.headers["retry-after"]) == (503, "1")
    assert (bug.status_code, bug.json()["code"]) == (500, "INTERNAL")
    assert "words" not in bug.text


async def test_calls_are_timed_by_route_and_never_by_address() -> None:
    metrics = Metrics()
    async with client_of(metrics) as client:
        await client.get("/fail/limited")
        await client.get("/somewhere/else")
    taken = metrics.registry.get_sample_value
    labels = {"route": "/fail/{how}", "status": "429"}
    assert taken("kefu_http_seconds_sum", labels) == pytest.approx(0.3)
    assert taken("kefu_http_seconds_count", {"route": "other", "status": "404"}) == 1


async def test_of_a_stream_the_time_to_its_beginning_counts() -> None:
    async def app(_scope: object, _receive: object, send: Send) -> None:
        CLOCK.advance(0.2)
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        CLOCK.advance(3600)
        await send({"type": "http.response.body", "body": b""})

    metrics = Metrics()
    transport = httpx.ASGITransport(
        HttpMetrics(app, metrics=metrics, clock=CLOCK, pulse=Pulse(CLOCK))
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://kefu") as client:
        await client.get("/")
    labels = {"route": "other", "status": "200"}
    taken_s = metrics.registry.get_sample_value("kefu_http_seconds_sum", labels)
    assert taken_s == pytest.approx(0.2)


async def test_who_leaves_in_the_middle_of_a_request_is_no_bug_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def pieces() -> AsyncIterator[Message]:
        yield {"type": "http.request", "body": b"x", "more_body": True}
        yield {"type": "http.disconnect"}

    incoming = pieces()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    route = Route("/read", read, methods=["POST"])
    app = Starlette(routes=[route], exception_handlers=EXCEPTION_HANDLERS)
    scope = {"type": "http", "method": "POST", "path": "/read", "headers": [], "query_string": b""}
    await app(scope, incoming.__anext__, send)
    assert caplog.records == []


async def test_all_stores_are_asked_at_once_lest_a_probe_wait_for_each_in_turn() -> None:
    is_asked = anyio.Event()

    async def vital() -> str | None:
        await is_asked.wait()
        return None

    async def helpful() -> str | None:
        is_asked.set()
        return None

    assert (await Health(vital={"a": vital}, helpful={"b": helpful}).look()).status == "ready"


def test_a_helpful_store_that_is_silent_is_given_up_before_a_probe_gives_up() -> None:
    async def silent() -> str | None:
        await anyio.sleep_forever()
        return None

    async def story() -> None:
        with anyio.fail_after(PROBE_S):
            seen = await Health(vital={}, helpful={"b": silent}).look()
        assert seen.status == "degraded"

    simulated(story)


async def test_a_helpful_store_that_is_gone_only_degrades() -> None:
    async def good() -> str | None:
        return None

    async def bad() -> str | None:
        return "it is gone"

    both = await Health(vital={"a": bad}, helpful={"b": bad, "c": good}).look()
    assert (both.status, both.reasons) == ("unready", {"a": "it is gone", "b": "it is gone"})
    assert (await Health(vital={"a": good}, helpful={"b": bad}).look()).status == "degraded"
    assert (await Health(vital={"a": good}, helpful={}).look()).status == "ready"
