"""What whoever runs kefu can look at: alive, ready, the tree of actors, the numbers."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from kefu import __version__
from kefu.storage.embedded import Stores
from tests.fakes.proxy import Proxy, proxied_database, proxy_to
from tests.laws.sources import ROOT
from tests.server import People, Server, running
from tests.until import until

OPS_TOKEN = "an ops token of thirty-two bytes, at least"


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        yield client


@asynccontextmanager
async def cut_off(
    stores: Stores, database: str, **more: str
) -> AsyncIterator[tuple[httpx.AsyncClient, Server, Proxy, Proxy]]:
    """A server whose ways to PostgreSQL and to Redis go through proxies."""
    socket = urlsplit(stores.redis_url).path
    async with proxied_database(database) as (postgres, url), proxy_to(socket) as redis:
        variables = {
            "KEFU_DATABASE_URL": url,
            "KEFU_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            **more,
        }
        async with (
            running(variables) as server,
            httpx.AsyncClient(base_url=server.url, trust_env=False) as client,
        ):
            yield client, server, postgres, redis


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def ready(client: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    answer = await client.get("/readyz")
    return answer.status_code, answer.json()


# --- alive and ready ------------------------------------------------------------------------------


async def test_a_healthy_server_is_alive_and_ready(http: httpx.AsyncClient) -> None:
    assert (await http.get("/livez")).json() == {"status": "alive"}
    assert await ready(http) == (200, {"status": "ready", "reasons": {}})


@pytest.mark.parametrize("way", ["is_refusing", "is_silent"])
async def test_without_redis_it_is_degraded_and_takes_traffic(
    stores: Stores, database: str, way: str
) -> None:
    async with cut_off(stores, database) as (client, _, _, redis):
        assert (await ready(client))[1]["status"] == "ready"
        setattr(redis, way, True)
        if way == "is_refusing":
            redis.cut()
        with anyio.fail_after(4):
            status, readiness = await ready(client)
        assert (status, readiness["status"]) == (200, "degraded")
        assert list(readiness["reasons"]) == ["redis"]
        setattr(redis, way, False)

        async def is_ready() -> bool:
            return (await ready(client))[1]["status"] == "ready"

        await until(is_ready)


@pytest.mark.parametrize("way", ["is_refusing", "is_silent"])
async def test_without_postgresql_it_is_not_ready_but_alive(
    stores: Stores, database: str, way: str
) -> None:
    async with cut_off(stores, database) as (client, _, postgres, _):
        setattr(postgres, way, True)
        if way == "is_refusing":
            postgres.cut()
        with anyio.fail_after(4):
            status, readiness = await ready(client)
        assert (status, readiness["status"]) == (503, "unready")
        assert list(readiness["reasons"]) == ["postgresql"]
        assert (await client.get("/livez")).status_code == 200
        setattr(postgres, way, False)

        async def is_ready() -> bool:
            return (await ready(client))[0] == 200

        await until(is_ready)


# --- the instances --------------------------------------------------------------------------------


async def test_the_instances_are_shown_to_supervisors(
    http: httpx.AsyncClient, people: People, server: Server
) -> None:
    agent, boss = await people.agent(), await people.agent(role="supervisor")
    refused = await http.get("/api/ops/cluster", headers=bearer(agent.token))
    answer = await http.get("/api/ops/cluster", headers=bearer(boss.token))
    assert (refused.status_code, answer.status_code) == (403, 200)
    seen = answer.json()["data"]
    (only,) = seen["instances"]
    assert (seen["me"], seen["is_redis_connected"]) == (only["id"], True)
    assert (seen["slots_total"], seen["slots_moving"], only["slots"]) == (1024, 0, 1024)
    assert only["name"].endswith(f":{server.process.pid}")
    assert (only["version"], only["is_draining"], only["link"]) == (__version__, False, None)


# --- the tree -------------------------------------------------------------------------------------


async def test_the_tree_is_for_supervisors(http: httpx.AsyncClient, people: People) -> None:
    agent, boss = await people.agent(), await people.agent(role="supervisor")
    answers = {
        "nobody": await http.get("/api/ops/supervisor"),
        "a customer": await http.get("/api/ops/supervisor", headers=bearer(people.customer())),
        "an agent": await http.get("/api/ops/supervisor", headers=bearer(agent.token)),
        "a supervisor": await http.get("/api/ops/supervisor", headers=bearer(boss.token)),
    }
    said = {who: answer.status_code for who, answer in answers.items()}
    assert said == {"nobody": 401, "a customer": 401, "an agent": 403, "a supervisor": 200}
    assert answers["nobody"].headers["www-authenticate"] == "Bearer"
    assert {answer.headers["cache-control"] for answer in answers.values()} == {"no-store"}


async def test_the_tree_shows_how_every_kind_of_actor_is(
    http: httpx.AsyncClient, people: People
) -> None:
    boss = await people.agent(role="supervisor")
    async with people.connected(people.customer()) as customer:
        await customer.start()
        answer = await http.get("/api/ops/supervisor", headers=bearer(boss.token))

    tree = answer.json()["data"]
    kinds = {child["kind"]: child for child in tree["children"]}
    conversation = kinds["conversation"]
    assert conversation["count"] >= 1
    assert conversation["handled"] >= 1
    assert {"depth", "restarts", "oldest_s", "failed", "last_error"} <= conversation.keys()
    assert {child["owner_instance"] for child in tree["children"]} == {tree["owner_instance"]}


async def test_a_machine_shows_the_ops_token(stores: Stores, database: str) -> None:
    async with cut_off(stores, database, KEFU_OPS_TOKEN=OPS_TOKEN) as (client, _, _, _):
        good = await client.get("/api/ops/supervisor", headers=bearer(OPS_TOKEN))
        bad = [
            await client.get("/api/ops/supervisor", headers=headers)
            for headers in (
                {},
                bearer(OPS_TOKEN[:-1]),
                bearer("x"),
                {"authorization": "Basic eA=="},
            )
        ]
    assert good.status_code == 200
    assert [answer.status_code for answer in bad] == [401] * 4


# --- the numbers ----------------------------------------------------------------------------------


async def metrics(client: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    """Each sample by its name and labels."""
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    return {
        (sample.name, " ".join(f"{k}={v}" for k, v in sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


async def test_every_number_that_is_shown_is_documented(
    http: httpx.AsyncClient, people: People
) -> None:
    async with people.connected(people.customer()) as customer:
        await customer.start()
        await customer.say("在吗")
        shown = {
            re.sub(r"_(bucket|sum|count)$", "", name)
            for name, _ in await metrics(http)
            if name.startswith("kefu_") and not name.endswith("_created")
        }
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(kefu_\w+)`", page, re.MULTILINE))
    assert {name for name in shown if name not in documented} == set()
    rare = {
        *("kefu_dead_letters_total", "kefu_connections_closed_total", "kefu_errors_total"),
        *("kefu_bot_breaker", "kefu_bot_answers_total"),  # where there is a bot, and it was asked
    }
    assert documented - shown <= rare


async def test_counters_are_counters(http: httpx.AsyncClient) -> None:
    text = (await http.get("/metrics")).text
    assert "# TYPE kefu_messages_handled_total counter" in text
    assert "# TYPE kefu_actors gauge" in text


async def test_who_comes_and_goes_leaves_no_trace(own_server: Server) -> None:
    async with httpx.AsyncClient(base_url=own_server.url, trust_env=False) as client:
        await come_and_go(own_server, 50)
        await until_empty(client)
        before = await metrics(client)
        await come_and_go(own_server, 150)
        await until_empty(client)
        after = await metrics(client)
    assert after["process_open_fds", ""] <= before["process_open_fds", ""] + 5
    assert after["kefu_frames_received_total", "type=ping"] == 13 + 38


async def come_and_go(server: Server, count: int) -> None:
    """Some in the middle of talk, some without a farewell, some half closed."""
    for number in range(count):
        async with connect(f"{server.ws}/ws/chat", proxy=None) as socket:
            if number % 4 == 0:
                await socket.send('{"type": "ping"}')
                await socket.recv()
            if number % 5 == 1:
                socket.transport.abort()
            if number % 5 == 2:
                socket.transport.write_eof()
                await socket.wait_closed()


async def until_empty(client: httpx.AsyncClient) -> None:
    async def is_empty() -> bool:
        return (await metrics(client))["kefu_connections", "role=CustomerRole"] == 0

    await until(is_empty)


# --- what travels over HTTP -----------------------------------------------------------------------


async def test_every_failure_over_http_has_the_one_shape(http: httpx.AsyncClient) -> None:
    answers = {
        404: await http.get("/nothing/here"),
        405: await http.get("/api/agent/login"),
        413: await http.post("/api/agent/login", content=b"x" * 2_000_000),
        400: await http.post("/api/agent/login", content=b"{"),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.json()["success"] is False
        assert answer.json()["code"] == answer.json()["detail"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert answers[405].headers["allow"] == "POST"
    assert (await http.get("/assets/nothing.js")).json()["code"] == "NOT_FOUND"


async def test_pages_come_with_the_headers_that_keep_them_safe(http: httpx.AsyncClient) -> None:
    for path in ("/", "/agent"):
        page = await http.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "object-src 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-cache"
    assert "frame-ancestors 'none'" in (await http.get("/agent")).headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/agent", "/livez", "/readyz", "/metrics"])
async def test_head_is_answered_like_get_without_a_body(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.head(path)
    assert answer.status_code == 200
    assert answer.content == b""


async def test_bad_bytes_from_strangers_do_not_fill_the_log(own_server: Server) -> None:
    host, port = own_server.url.removeprefix("http://").split(":")
    async with connect(f"{own_server.ws}/ws/chat", proxy=None) as socket:
        await socket.send(b"\xff\xfe", text=True)
        await socket.wait_closed()
        assert socket.close_code == 1007
    async with await anyio.connect_tcp(host, int(port)) as stranger:
        await stranger.send(b"\x16\x03\x01 not HTTP\r\n\r\n")
        await stranger.receive()
    async with await anyio.connect_tcp(host, int(port)) as stranger:
        await stranger.send(
            b"GET /ws/chat?token=secret-token HTTP/1.1\r\nhost: x\r\n"
            b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 1\r\n\r\n"
        )
        await stranger.receive()
    said = len("".join(own_server.said).splitlines())
    assert await own_server.stop() == 0
    text = "".join(own_server.said)
    assert "Traceback" not in text
    assert "secret-token" not in text
    assert len(text.splitlines()) == said
