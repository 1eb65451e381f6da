"""Signing in over HTTP: the flat answers, the limits, and what a wrong request is told."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import msgspec
import pytest

from protocol.accounts import PERMISSIONS
from tests.agents.office import GOOD, WRONG, Office, bearer


async def login(client: httpx.AsyncClient, password: str = GOOD) -> httpx.Response:
    return await client.post("/api/agent/login", json={"username": "lin", "password": password})


async def test_login_and_refresh_answer_flat(client: httpx.AsyncClient) -> None:
    first = await login(client)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["content-type"] == "application/json"
    answer = first.json()
    assert set(answer) == {"success", "token", "refresh_token", "expires_in", "agent"}
    assert (answer["success"], answer["expires_in"]) == (True, 3600)
    assert answer["agent"] == {
        "id": answer["agent"]["id"],
        "username": "lin",
        "name": "Lin Mei",
        "avatar_url": None,
        "role": "agent",
        "max_sessions": 5,
        "status": "offline",
        "status_note": None,
        "is_active": True,
        "created_at": "2026-11-21T09:00:00Z",
        "last_login": "2026-11-21T09:00:00Z",
        "skills": [],
        "team_ids": [],
    }
    second = await client.post(
        "/api/agent/refresh", json={"refresh_token": answer["refresh_token"]}
    )
    assert set(second.json()) == set(answer)
    again = await client.post("/api/agent/refresh", json={"refresh_token": answer["refresh_token"]})
    assert (again.status_code, again.json()["code"]) == (401, "UNAUTHORIZED")


async def test_a_link_answers_like_login(client: httpx.AsyncClient, office: Office) -> None:
    link = await office.make_link("lin")
    answer = await client.post("/api/agent/link", json={"token": link})
    assert set(answer.json()) == set((await login(client)).json())
    spent = await client.post("/api/agent/link", json={"token": link})
    assert spent.status_code == 401
    assert "ask for a new one" in spent.json()["error"]


async def test_the_profile_lists_what_the_role_may_do(
    client: httpx.AsyncClient, office: Office
) -> None:
    for role, permissions in PERMISSIONS.items():
        await office.create(f"a-{role}", "A", role=role, password=GOOD)
        signed_in = await office.accounts.sign_in(f"a-{role}", GOOD, "203.0.113.9")
        answer = await client.get("/api/agent/profile", headers=bearer(signed_in.token))
        assert answer.json()["success"] is True
        profile = answer.json()["data"]
        assert profile["permissions"] == list(permissions)
        assert (profile["username"], profile["role"]) == (f"a-{role}", role)
        assert "password_hash" not in profile


@pytest.mark.parametrize("path", ["/api/agent/profile", "/api/teams"])
async def test_without_an_agent_s_token_nothing_is_shown(
    client: httpx.AsyncClient, office: Office, path: str
) -> None:
    token = (await login(client)).json()["token"]
    for wrong in (
        {},
        {"Authorization": token},
        {"Authorization": f"Basic {token}"},
        {"Authorization": "Bearer "},
        bearer(token + "x"),
        bearer("a" * 9000),
        bearer(office.tokens.customer("customer-9")),
        bearer(office.tokens.guest("guest-3")),
    ):
        answer = await client.get(path, headers=wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert (await client.get(path, headers={"authorization": f"bearer {token}"})).is_success


async def test_a_locked_name_is_told_when_to_come_back(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert (await login(client, WRONG)).status_code == 401
    locked = await login(client)
    assert (locked.status_code, locked.json()["code"]) == (429, "RATE_LIMITED")
    assert locked.json()["retry_after_s"] == 900


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"username": "\xff", "password": "x"}', "not valid JSON"),
        (b'{"x": ' + b"[" * 16000, "not valid JSON"),
        (b"[]", "Expected `object`"),
        (b'{"username": "lin"}', "password"),
        (b'{"username": 7, "password": "x"}', "$.username"),
        (b'{"username": "", "password": "x"}', "$.username"),
        (b'{"username": "a\\u0000b", "password": "x"}', "$.username"),
        (b'{"username": "%s", "password": "x"}' % (b"a" * 65), "$.username"),
        (b'{"username": "lin", "password": "%s"}' % (b"a" * 129), "$.password"),
    ],
)
async def test_a_wrong_body_is_told_where_and_why(
    client: httpx.AsyncClient, body: bytes, words: str
) -> None:
    answer = await client.post("/api/agent/login", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert words in answer.json()["error"]


@pytest.mark.parametrize("path", ["login", "refresh", "link"])
async def test_a_body_over_16_kib_is_refused(client: httpx.AsyncClient, path: str) -> None:
    padded: dict[str, Any] = {"username": "lin", "password": GOOD, "padding": ""}
    empty = len(msgspec.json.encode(padded))
    for size, is_too_large in ((16 * 1024, False), (16 * 1024 + 1, True)):
        padded["padding"] = "a" * (size - empty)
        answer = await client.post(f"/api/agent/{path}", content=msgspec.json.encode(padded))
        assert (answer.status_code == 413) is is_too_large


async def test_a_body_of_many_pieces_is_stopped_when_it_is_too_large(
    client: httpx.AsyncClient,
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1
            yield b" " * 1024

    answer = await client.post("/api/agent/login", content=endless())
    assert answer.status_code == 413
    assert sent < 20


async def test_a_body_that_never_ends_is_given_up(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kefu.bodies.BODY_TIMEOUT_S", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep_forever()

    answer = await client.post("/api/agent/login", content=stuck())
    assert answer.status_code == 400
    assert "took too long" in answer.json()["error"]
