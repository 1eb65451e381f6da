"""The bot's answer as it is being written: piece by piece, cut at once when a human comes."""

import asyncio
import json
from functools import partial
from uuid import UUID

import httpx
import pytest

from kefu.conversations.sessions.store import KnownCustomer
from kefu.gateway.facade import chat, sse
from kefu.gateway.facade.callers import COOKIE
from kefu.gateway.stream_limits import Limits
from kefu.shifts.messages import Duty
from tests.facade.house import House
from tests.until import until


async def has_messages(house: House, count: int) -> bool:
    return len((await house.session("s-1"))["history"]) == count


async def test_every_piece_is_an_event_as_it_comes_and_the_last_is_done(house: House) -> None:
    peer = await house.answer_by_cue("s-1", "你好")
    assert peer.status == 200
    assert peer.headers["content-type"] == "text/event-stream"
    assert peer.events == [
        {"type": "message", "content": "您好，"},
        {"type": "message", "content": "有什么"},
        {"type": "message", "content": "可以帮您？"},
        {"type": "done", "content": ""},
    ]
    assert b'data: {"type":"message","content":' in peer.body


async def test_what_was_not_streamed_comes_as_the_rest(house: House) -> None:
    house.bot.pieces = ()
    house.duty = Duty(is_open=False)
    peer = await house.answer_stream("s-1", "人工").end()
    assert "邮箱" in peer.text
    assert peer.types == ["message", "done"]


async def test_behind_questions_that_hang_the_next_begins_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "BEGIN_AT_ONCE", 0)
    monkeypatch.setattr(chat, "IN_ORDER_S", 0.01)
    house.app = house.make_app()
    peer = await house.answer_stream("s-1", "你好").end()
    assert peer.types[-1] == "done"


async def test_a_takeover_in_the_middle_cuts_the_answer_at_once(house: House) -> None:
    house.bot.pieces = tuple(str(number) for number in range(100))
    house.bot.gap_s = 0.02
    ke = await house.worker("小可")
    peer = house.answer_stream("s-1", "你好")
    await peer.hear("message", 3)
    assert (await ke.take("s-1")).status_code == 200
    await peer.end()
    assert peer.types[-2:] == ["status_change", "done"]
    assert set(peer.types[:-2]) == {"message"}
    assert peer.events[-2]["status"] == "manual_live"
    assert len(peer.heard("message")) < len(house.bot.pieces)
    await until(lambda: house.bot.cancelled_count == 1)


async def test_pieces_that_wait_when_a_human_comes_do_not_go_out(house: House) -> None:
    house.bot.pieces = tuple(str(number) for number in range(50))
    house.bot.gap_s = 0.005
    ke = await house.worker()
    peer = house.answer_stream("s-1", "你好")
    await peer.hear("message")
    peer.is_reading = False
    await until(lambda: len(house.bot.said) > 20)
    assert (await ke.take("s-1")).status_code == 200
    told = len(peer.heard("message"))
    peer.is_reading = True
    await peer.end()
    assert len(peer.heard("message")) <= told + 1  # the one that was on its way
    assert peer.types[-2:] == ["status_change", "done"]


async def test_a_message_that_calls_for_a_human_is_answered_with_it(house: House) -> None:
    peer = await house.answer_stream("s-1", "我要投诉").end()
    assert peer.types == ["message", "status_change", "done"]
    assert peer.events[1]["status"] == "pending_manual"
    assert "人工" in peer.text
    refused = await house.answer_stream("s-1", "在吗").end()
    assert (refused.status, refused.answer["code"]) == (409, "MANUAL_IN_PROGRESS")


async def test_the_third_failure_brings_its_answer_and_a_human(house: House) -> None:
    house.bot.outcome = "unknown"
    for _ in range(2):
        await house.ask("s-1", "?")
    peer = await house.answer_stream("s-1", "?").end()
    assert peer.text.startswith("您好，有什么可以帮您？\n\n")
    assert peer.types[-2:] == ["status_change", "done"]


async def test_an_answer_under_way_is_none_of_the_next_ones(house: House) -> None:
    first = await house.answer_begun("s-1", "一")
    second = house.answer_stream("s-1", "二")
    await until(partial(has_messages, house, 2))
    house.say_rest()
    for peer in (first, second):
        await peer.end()
        assert peer.text == "您好，有什么可以帮您？"


async def test_a_provider_that_fails_ends_the_stream_with_a_friendly_error(house: House) -> None:
    house.bot.outcome, house.bot.pieces = "failed", ("请稍后再试。",)
    peer = await house.answer_stream("s-1", "你好").end()
    assert peer.status == 200
    assert peer.events[-1] == {
        "type": "error",
        "content": "请稍后再试。",
        "code": "AI_UNAVAILABLE",
    }
    assert "done" not in peer.types


async def test_a_chat_that_ends_in_the_middle_ends_the_stream(house: House) -> None:
    house.bot.gap_s = 5.0
    peer = house.answer_stream("s-1", "你好")
    await until(lambda: house.is_asked("s-1"))
    await house.end("s-1")
    await peer.end()
    assert [(each["type"], each["code"]) for each in peer.events] == [("error", "CHAT_ENDED")]


async def test_a_client_that_leaves_has_its_answer_in_the_chat(house: House) -> None:
    peer = await house.answer_begun("s-1", "你好")
    await peer.leave()
    assert not peer.is_over
    assert len(house.hub) == 0
    assert house.streams.count == 0
    house.say_rest()
    await until(partial(has_messages, house, 2))


async def test_a_client_that_takes_nothing_for_too_long_is_cut(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "IDLE_S", 0.1)
    peer = await house.answer_begun("s-1", "你好", client_message_id="m-1")
    peer.is_reading = False
    house.say_rest()
    await peer.task
    assert not peer.is_over
    assert house.streams.count == 0


async def test_a_silent_bot_is_covered_by_comments(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.02)
    house.bot.gap_s = 0.1
    peer = await house.answer_stream("s-1", "你好").end()
    assert peer.beats > 5
    assert peer.text == "您好，有什么可以帮您？"


async def test_a_fourth_stream_of_one_person_is_one_too_many(house: House) -> None:
    house.bot.gap_s, house.bot.pieces = 2.0, ("x",)
    peers = [house.listen("s-1"), house.listen("s-1"), house.answer_stream("s-1", "你好")]
    await until(lambda: house.streams.count == 3 and bool(house.bot.asked))
    refused = await house.answer_stream("s-1", "你好").end()
    assert refused.status == 429
    assert refused.answer["error"] == "Too many concurrent connections"
    assert int(refused.headers["retry-after"]) > 0
    assert len(house.bot.asked) == 1
    other = house.listen("s-2")
    await until(lambda: other.status == 200)
    for peer in (*peers, other):
        await peer.leave()
    again = house.listen("s-1")
    await until(lambda: again.status == 200)
    await again.leave()


async def test_a_stranger_who_names_a_customer_takes_none_of_their_streams(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted they are while they are looked up, but by the name, which is all they know."""
    signed = house.token("u-1")
    assert (await house.post("/api/chat", headers=signed, message="你好")).json()["success"]
    look_up, may_look = house.sessions.customer, asyncio.Event()

    async def look_up_later(customer_id: UUID) -> KnownCustomer | None:
        await may_look.wait()
        return await look_up(customer_id)

    monkeypatch.setattr(house.sessions, "customer", look_up_later)
    strangers = [house.answer_stream("u-1", "?") for _ in range(3)]
    await until(lambda: house.streams.count == 3)
    assert (await house.answer_stream("u-1", "?").end()).status == 429
    own = house.listen(headers=signed)
    await until(lambda: own.status == 200)
    may_look.set()
    assert {(await each.end()).status for each in strangers} == {404}
    assert house.streams.count == 1
    await own.leave()
    assert await house.redis.keys("{test}:streams:*") == []


async def test_a_full_instance_says_so(house: House) -> None:
    house.limits = Limits(instance=2)
    house.app = house.make_app()
    peers = [house.listen("s-1"), house.listen("s-2")]
    await until(lambda: all(peer.status == 200 for peer in peers))
    refused = await house.listen("s-3").end()
    assert (refused.status, refused.answer["code"]) == (503, "OVERLOADED")
    assert int(refused.headers["retry-after"]) > 0
    for peer in peers:
        await peer.leave()


async def test_nameless_guests_of_one_address_share_its_streams(house: House) -> None:
    house.limits = Limits(address=2)
    house.app = house.make_app()
    peers = [house.listen(), house.listen()]
    await until(lambda: all(peer.status == 200 for peer in peers))
    assert (await house.listen().end()).status == 429
    named = house.listen("s-1")
    await until(lambda: named.status == 200)
    for peer in (*peers, named):
        await peer.leave()


async def test_a_new_guest_is_known_again_by_the_cookie(house: House) -> None:
    told = await house.post("/api/chat", message="你好")
    cookie = told.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    header = {"cookie": cookie.split(";")[0]}
    again = await house.post("/api/chat", headers=header, message="还有")
    assert "set-cookie" not in again.headers
    assert len(house.bot.earlier[1]) == 2
    stream = house.stream(body=json.dumps({"message": "又"}).encode(), headers=header)
    await stream.end()
    assert len(house.bot.earlier[2]) == 4
    stranger = await house.post("/api/chat", headers={"cookie": f"{COOKIE}=x"}, message="?")
    assert "set-cookie" in stranger.headers


async def test_over_https_the_cookie_is_for_https_alone(house: House) -> None:
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://kefu") as client:
        told = await client.post("/api/chat", json={"message": "你好"})
    assert "; Secure" in told.headers["set-cookie"]
