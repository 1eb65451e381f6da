"""Whose session it is: the name is a secret, until the shop signs for a customer of that name."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.agents.tokens import CustomerIdentity
from kefu.conversations.sessions.names import id_in, is_name, name_of
from kefu.gateway.facade.callers import customer_id_of
from protocol.facade import RESERVED_NAMES
from tests.agents.office import tokens_of
from tests.facade.house import House
from tests.fakes.clock import HandClock
from tests.until import until

ALPHABET = "abcXYZ019_.:-"


@given(st.text(ALPHABET, min_size=1, max_size=128))
def test_a_name_stands_for_the_customer_whose_token_has_it_as_sub(name: str) -> None:
    tokens = tokens_of(HandClock())
    identity = tokens.verify(tokens.customer(name))
    assert isinstance(identity, CustomerIdentity)
    assert customer_id_of(name) == identity.customer_id


@given(st.text(max_size=140))
def test_only_short_plain_words_are_names(text: str) -> None:
    is_plain = 0 < len(text) <= 128 and all(
        c.isascii() and (c.isalnum() or c in "_.:-") for c in text
    )
    assert is_name(text) == (is_plain and text not in RESERVED_NAMES)


@given(st.text(max_size=130), st.uuids(), st.booleans())
def test_every_customer_has_a_name_of_their_own(sub: str, id, is_guest: bool) -> None:
    name = name_of(id, sub, is_guest=is_guest)
    assert is_name(name)
    if id_in(name) is not None:
        assert id_in(name) == id
    else:
        assert (name, is_guest) == (sub, False)


async def test_who_knows_the_name_has_the_session(house: House) -> None:
    await house.ask("s-1", "你好")
    session = await house.session("s-1")
    assert session["session_name"] == "s-1"
    assert [entry["role"] for entry in session["history"]] == ["user", "assistant"]
    assert (await house.client.get("/api/sessions/s-2")).status_code == 404


async def test_a_token_of_that_name_sees_the_same_conversation(house: House) -> None:
    await house.ask("u-1", "你好")
    session = await house.session("u-1", headers=house.token("u-1"))
    assert session["history"][0]["content"] == "你好"


async def test_once_the_shop_signed_for_a_name_it_takes_the_token(house: House) -> None:
    await house.ask("u-1", "你好")
    signed = house.token("u-1", name="王小明")
    assert (await house.post("/api/chat", headers=signed, message="是我")).json()["success"]
    body = {"message": "?", "user_id": "u-1"}
    for told in (
        await house.post("/api/chat", **body),
        await house.post("/api/chat/stream", **body),
        await house.client.get("/api/sessions/u-1"),
        await house.client.get("/api/chat/stream", params={"session_name": "u-1"}),
        await house.post("/api/manual/escalate", session_name="u-1"),
        await house.post("/api/conversation/clear", session_id="u-1"),
        await house.post("/api/manual/messages", session_name="u-1", role="user", content="?"),
        await house.post("/api/chat", headers=house.token("u-2"), message="a")
        and await house.client.get("/api/sessions/u-1", headers=house.token("u-2")),
    ):
        assert told.status_code == 404, told.text
        assert told.json()["code"] == "CHAT_NOT_FOUND"
    assert len((await house.session("u-1", headers=signed))["history"]) == 4


async def test_looking_with_a_token_is_enough_to_close_the_name(house: House) -> None:
    await house.client.get("/api/sessions/u-1", headers=house.token("u-1"))
    assert (await house.post("/api/chat", message="?", user_id="u-1")).status_code == 404


async def test_a_token_wins_over_the_name_in_the_body(house: House) -> None:
    await house.post("/api/chat", headers=house.token("u-1"), message="是我", user_id="s-9")
    assert (await house.client.get("/api/sessions/s-9")).status_code == 404
    session = await house.session("u-1", headers=house.token("u-1"))
    assert session["history"][0]["content"] == "是我"
    assert session["user_profile"]["is_vip"] is False


async def test_a_bad_token_is_refused_whatever_the_name(house: House) -> None:
    bad = {"authorization": "Bearer x"}
    told = await house.post("/api/chat", headers=bad, message="?", user_id="s-1")
    assert (told.status_code, told.json()["code"]) == (401, "UNAUTHORIZED")


async def test_vip_comes_from_the_token_alone(house: House) -> None:
    told = await house.post("/api/chat", headers=house.token("u-1", vip=True), message="你好")
    assert told.json()["status"] == "pending_manual"
    session = await house.session("u-1", headers=house.token("u-1"))
    assert session["escalation"]["reason"] == "vip"
    assert session["user_profile"]["customer_type"] == "vip"
    assert session["priority"]["level"] == "urgent"


async def test_a_sub_that_is_no_name_goes_by_its_id(house: House) -> None:
    ke = await house.worker()
    headers = house.token("用户/1")
    await house.post("/api/chat", headers=headers, message="你好")
    (listed,) = (await ke.get("/api/sessions")).json()["data"]["sessions"]
    name = listed["session_name"]
    assert name == f"id:{listed['user_profile']['id']}"
    assert (await ke.get(f"/api/sessions/{name}")).status_code == 200
    assert (await house.client.get(f"/api/sessions/{name}", headers=headers)).status_code == 200
    assert (await house.client.get(f"/api/sessions/{name}")).status_code == 404
    assert (await house.post("/api/chat", message="?", user_id=name)).status_code == 404


async def test_a_guest_of_the_cookie_reads_their_own_session_alone(house: House) -> None:
    ke = await house.worker()
    told = await house.post("/api/chat", message="你好")
    cookie = {"cookie": told.headers["set-cookie"].split(";")[0]}
    (listed,) = (await ke.get("/api/sessions")).json()["data"]["sessions"]
    name = listed["session_name"]
    assert listed["user_profile"]["is_guest"] is True
    own = await house.client.get(f"/api/sessions/{name}", headers=cookie)
    assert own.status_code == 200
    assert (await house.client.get(f"/api/sessions/{name}")).status_code == 404
    await house.ask("s-1", "?")
    assert (await house.client.get("/api/sessions/s-1", headers=cookie)).status_code == 200
    assert (await house.post("/api/chat", message="?", user_id=name)).status_code == 404


async def test_an_unclaimed_id_is_a_name_like_any_other(house: House) -> None:
    name = "id:00000000-0000-0000-0000-000000000001"
    assert (await house.ask(name, "你好"))["success"]
    session = await house.session(name)
    assert session["session_name"] == f"id:{session['user_profile']['id']}"
    assert (await house.session(session["session_name"]))["chat_id"] == session["chat_id"]
    await house.ask(session["session_name"], "还有")
    assert len((await house.session(name))["history"]) == 4


async def test_without_guests_a_token_is_needed(house: House) -> None:
    house.allow_guests = False
    house.app = house.make_app()
    told = await house.post("/api/chat", message="?", user_id="s-1")
    assert (told.status_code, told.json()["code"]) == (401, "UNAUTHORIZED")
    assert (await house.listen().end()).status == 401
    signed = await house.post("/api/chat", headers=house.token("u-1"), message="你好")
    assert signed.json()["success"]


async def test_a_page_of_another_site_is_refused(house: House) -> None:
    body = {"message": "?", "user_id": "s-1"}
    told = await house.post("/api/chat", headers={"origin": "https://evil.example"}, **body)
    assert (told.status_code, told.json()["code"]) == (403, "FORBIDDEN")
    for origin in ("https://shop.example", "http://kefu"):
        assert (
            await house.post("/api/chat", headers={"origin": origin}, **body)
        ).status_code == 200


async def test_whoever_tries_names_is_told_how_often_they_may_and_nothing_else(
    house: House,
) -> None:
    await house.post("/api/chat", headers=house.token("u-1"), message="你好")
    house.calls_per_minute = 3
    house.app = house.make_app()
    await house.redis.flushdb()
    codes = [(await house.ask("u-1", "?")).get("code") for _ in range(6)]
    assert codes == ["CHAT_NOT_FOUND"] * 3 + ["RATE_LIMITED"] * 3


async def test_calls_without_a_token_count_by_address(house: House) -> None:
    guest = await house.post("/api/chat", message="你好")
    cookie = {"cookie": guest.headers["set-cookie"].split(";")[0]}
    house.calls_per_minute = 3
    house.app = house.make_app()
    await house.redis.flushdb()
    codes = [(await house.ask(f"s-{n}", "?")).get("code") for n in range(5)]
    assert codes == [None, None, None, "RATE_LIMITED", "RATE_LIMITED"]
    for headers in (house.token("u-1"), cookie):
        told = await house.post("/api/chat", headers=headers, message="?")
        assert told.json()["success"]
    peer = house.listen("s-9")
    await until(lambda: peer.status == 200)
    await peer.leave()
    transport = httpx.ASGITransport(house.app, client=("192.0.2.8", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://kefu") as other:
        told = await other.post("/api/chat", json={"message": "?", "user_id": "s-9"})
    assert told.json()["success"]


async def test_an_agent_may_try_the_bot_under_a_name(house: House) -> None:
    ke = await house.worker()
    assert (await ke.post("/api/chat", message="你好", user_id="s-1")).json()["success"]
    assert (await ke.post("/api/chat", message="你好")).status_code == 403
    await house.post("/api/chat", headers=house.token("u-1"), message="?")
    assert (await ke.post("/api/chat", message="?", user_id="u-1")).status_code == 404


@pytest.mark.parametrize("name", ["a b", "a/b", "%00", "x" * 129, "é"])
async def test_what_can_be_no_name_is_no_session(house: House, name: str) -> None:
    ke = await house.worker()
    assert (await ke.get(f"/api/sessions/{name}")).status_code == 404
