"""What agents do with their own account: profile, status, password, signing out."""

from typing import Any

import httpx
import pytest

from protocol.accounts import SignedIn
from tests.agents.office import GOOD, HERE, WRONG, Office, bearer

NEW = "staple battery 9"
PASSWORD = "/api/agent/change-password"
PROFILE = "/api/agent/profile"


@pytest.fixture
async def lin(office: Office) -> SignedIn:
    return await office.accounts.sign_in("lin", GOOD, HERE)


async def test_logout_ends_the_session_and_says_which(
    office: Office, client: httpx.AsyncClient, lin: SignedIn
) -> None:
    session = (await office.accounts.authenticate(lin.token)).session_id
    other = await office.enter("lin")
    answer = await client.post("/api/agent/logout", headers=bearer(lin.token))
    assert answer.json() == {"success": True, "data": None}
    assert office.signed_out == [session]
    assert not await office.is_alive(lin.token)
    assert await office.is_alive(other.token)
    entry = await office.last_entry()
    assert (entry.action, entry.subject_id, entry.address) == (
        "agent.signed_out",
        str(session),
        HERE,
    )


async def test_a_reused_refresh_token_says_which_session_ended(
    office: Office, lin: SignedIn
) -> None:
    session = (await office.accounts.authenticate(lin.token)).session_id
    await office.accounts.refresh(lin.refresh_token)
    with pytest.raises(Exception, match="UNAUTHORIZED"):
        await office.accounts.refresh(lin.refresh_token)
    assert office.signed_out == [session]


async def test_name_and_picture_change_and_nothing_else_does(
    office: Office, client: httpx.AsyncClient, lin: SignedIn
) -> None:
    await office.create("mei", "Mei")
    asked = {"name": " 林美 ", "avatar_url": "https://shop.example/lin.png", "role": "admin"}
    answer = await client.put(PROFILE, json=asked, headers=bearer(lin.token))
    told = answer.json()["data"]
    assert (told["name"], told["avatar_url"], told["role"]) == (
        "林美",
        "https://shop.example/lin.png",
        "agent",
    )
    assert told["permissions"]
    assert office.changed == [lin.agent.id]
    entry = await office.last_entry()
    assert entry.before == {"name": "Lin Mei", "avatar_url": None}
    assert entry.after == {"name": "林美", "avatar_url": "https://shop.example/lin.png"}
    names = [agent.name for agent in (await office.roster.list()).agents]
    assert names == ["林美", "Mei"]
    gone = await client.put(PROFILE, json={"avatar_url": None}, headers=bearer(lin.token))
    assert gone.json()["data"]["avatar_url"] is None


async def test_the_same_once_more_is_no_change(
    office: Office, client: httpx.AsyncClient, lin: SignedIn
) -> None:
    before = await office.last_entry()
    answer = await client.put(PROFILE, json={"name": "Lin Mei"}, headers=bearer(lin.token))
    assert answer.status_code == 200
    assert await office.last_entry() == before
    assert office.changed == []


@pytest.mark.parametrize("asked", [{}, {"role": "admin"}, {"username": "boss", "id": "7"}])
async def test_nothing_to_change_is_refused(
    client: httpx.AsyncClient, lin: SignedIn, asked: dict[str, str]
) -> None:
    answer = await client.put(PROFILE, json=asked, headers=bearer(lin.token))
    assert (answer.status_code, answer.json()["code"]) == (400, "NO_FIELDS_TO_UPDATE")


@pytest.mark.parametrize(
    "asked",
    [
        {"name": ""},
        {"name": " \n"},
        {"name": "a" * 101},
        {"name": "a\0b"},
        {"name": None},
        {"avatar_url": "javascript:alert(1)"},
        {"avatar_url": "data:image/png;base64,AA"},
        {"avatar_url": "https://shop.example/a b"},
        {"avatar_url": "https://" + "a" * 2000},
    ],
)
async def test_a_bad_profile_is_refused(
    client: httpx.AsyncClient, lin: SignedIn, asked: dict[str, Any]
) -> None:
    answer = await client.put(PROFILE, json=asked, headers=bearer(lin.token))
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")


async def test_a_new_password_ends_the_other_sessions(
    office: Office, client: httpx.AsyncClient, lin: SignedIn
) -> None:
    other = await office.enter("lin")
    other_session = (await office.accounts.authenticate(other.token)).session_id
    asked = {"old_password": GOOD, "new_password": NEW}
    answer = await client.post(PASSWORD, json=asked, headers=bearer(lin.token))
    assert answer.json() == {"success": True, "data": None}
    assert office.signed_out == [other_session]
    assert await office.is_alive(lin.token)
    assert not await office.is_alive(other.token)
    assert (await office.refusal("lin", GOOD)).code == "UNAUTHORIZED"
    await office.accounts.sign_in("lin", NEW, HERE)
    entry = await office.last_entry()
    assert (entry.action, entry.before, entry.after) == ("agent.password_changed", None, None)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"old_password": WRONG, "new_password": NEW}, "old_password"),
        ({"new_password": NEW}, "old_password"),
        ({"old_password": GOOD, "new_password": GOOD}, "new_password"),
        ({"old_password": GOOD, "new_password": "short 7"}, "new_password"),
        ({"old_password": GOOD, "new_password": "woaini1314"}, "new_password"),
    ],
)
async def test_a_bad_change_of_password_names_the_field(
    office: Office, client: httpx.AsyncClient, lin: SignedIn, asked: dict[str, str], field: str
) -> None:
    answer = await client.post(PASSWORD, json=asked, headers=bearer(lin.token))
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert list(answer.json()["fields"]) == [field]
    await office.accounts.sign_in("lin", GOOD, HERE)


async def test_five_wrong_old_passwords_lock_the_name(
    office: Office, client: httpx.AsyncClient, lin: SignedIn
) -> None:
    for _ in range(5):
        asked = {"old_password": WRONG, "new_password": NEW}
        assert (
            await client.post(PASSWORD, json=asked, headers=bearer(lin.token))
        ).status_code == 400
    asked = {"old_password": GOOD, "new_password": NEW}
    locked = await client.post(PASSWORD, json=asked, headers=bearer(lin.token))
    assert (locked.status_code, locked.headers["retry-after"]) == (429, "900")
    office.clock.advance(900)
    assert (await client.post(PASSWORD, json=asked, headers=bearer(lin.token))).status_code == 200


async def test_who_came_by_link_sets_the_first_password_without_an_old_one(
    office: Office, client: httpx.AsyncClient
) -> None:
    await office.create("mei", "Mei")
    token = (await office.enter("mei")).token
    first = await client.post(PASSWORD, json={"new_password": NEW}, headers=bearer(token))
    assert first.status_code == 200
    again = await client.post(PASSWORD, json={"new_password": GOOD}, headers=bearer(token))
    assert again.status_code == 400


async def test_a_status_is_what_others_see_and_what_was_chosen(
    office: Office, client: httpx.AsyncClient, lin: SignedIn
) -> None:
    away = await client.get("/api/agent/status", headers=bearer(lin.token))
    assert away.json()["data"] == {"status": "offline", "chosen": "offline", "note": None}
    office.presences.arrive(lin.agent)
    asked = {"status": "lunch", "note": "back at one"}
    chosen = await client.put("/api/agent/status", json=asked, headers=bearer(lin.token))
    assert chosen.json()["data"]["status"] == "lunch"
    assert office.presences.here[lin.agent.id].note == "back at one"
    for wrong in ({}, {"status": "asleep"}, {"status": "busy", "note": "x" * 501}):
        answer = await client.put("/api/agent/status", json=wrong, headers=bearer(lin.token))
        assert answer.status_code == 400
