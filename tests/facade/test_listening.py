"""A session's events as they come: everything once and in order, and resumable exactly."""

import json
from typing import Any

import pytest

from kefu.gateway.facade import sse
from kefu.gateway.facade.callers import COOKIE
from kefu.gateway.facade.sse import EVENTS
from kefu.storage.errors import StoreUnavailable
from protocol.codes import CloseCode
from tests.facade.house import House, Worker
from tests.facade.peer import Peer
from tests.until import until


async def say(worker: Worker, name: str, content: str) -> Any:
    told = await worker.post(
        "/api/manual/messages", session_name=name, role="agent", content=content
    )
    assert told.status_code == 200, told.text
    return told.json()["data"]


async def taken(house: House, name: str = "s-1") -> Worker:
    """An agent in charge of the session."""
    ke = await house.worker("小可")
    await house.escalate(name)
    await ke.take(name)
    return ke


def said(peer: Peer) -> list[str]:
    return [event["content"] for event in peer.heard("manual_message")]


async def test_it_tells_all_that_happens_in_the_words_of_the_facade(house: House) -> None:
    peer = house.listen("s-1")
    await until(lambda: peer.status == 200)
    await house.ask("s-1", "你好")
    await house.escalate("s-1")
    ke = await house.worker("小可")
    await ke.take("s-1")
    sent = await say(ke, "s-1", "您好")
    await house.post("/api/manual/messages", session_name="s-1", role="user", content="嗯")
    await ke.release("s-1")
    await house.end("s-1")
    await until(lambda: peer.types.count("status_change") == 5)

    statuses = [event["status"] for event in peer.heard("status_change")]
    assert statuses == ["bot_active", "pending_manual", "manual_live", "bot_active", "closed"]
    assert peer.heard("status_change")[2]["agent_info"] == {
        "agent_id": str(ke.id),
        "agent_name": "小可",
        "avatar_url": None,
    }
    assert [event["content"] for event in peer.heard("message")] == ["您好，有什么可以帮您？"]
    manual = peer.heard("manual_message")
    assert [event["role"] for event in manual] == ["user", "agent", "user", "system"]
    assert manual[1]["agent_id"] == str(ke.id)
    assert manual[1]["agent_name"] == "小可"
    assert manual[1]["message_id"] == sent["message_id"]
    assert manual[1]["timestamp"] == sent["timestamp"]
    assert (manual[2]["agent_id"], manual[2]["agent_name"]) == (None, None)
    assert peer.heard("queue_position")[0]["position"] == 1
    await peer.leave()


async def test_whoever_comes_later_hears_first_how_the_session_stands(house: House) -> None:
    await taken(house)
    for path in ("/api/chat/stream", "/api/chat/events"):
        peer = house.stream("GET", path, query="session_name=s-1")
        assert (await peer.hear("status_change"))["status"] == "manual_live"
        assert peer.types == ["status_change"]
        await peer.leave()


async def test_what_was_missed_comes_once_and_in_order(house: House) -> None:
    ke = await taken(house)
    peer = house.listen("s-1")
    await peer.hear("status_change")
    await say(ke, "s-1", "一")
    await peer.hear("manual_message")
    await peer.leave()
    for text in ("二", "三"):
        await say(ke, "s-1", text)
    again = house.listen("s-1", headers={"last-event-id": peer.last_id})
    await say(ke, "s-1", "四")
    await again.hear("manual_message", 3)
    assert said(again) == ["二", "三", "四"]
    await again.leave()
    last = house.listen("s-1", headers={"last-event-id": again.last_id})
    await last.hear("status_change")
    await say(ke, "s-1", "五")
    await last.hear("manual_message")
    assert said(last) == ["五"]
    await last.leave()


async def test_a_cursor_of_another_session_brings_nothing_of_it(house: House) -> None:
    ke = await taken(house, "s-1")
    peer = house.listen("s-1")
    await peer.hear("status_change")
    await peer.leave()
    await say(ke, "s-1", "秘密")
    await taken(house, "s-2")
    stranger = house.listen("s-2", headers={"last-event-id": peer.last_id})
    await stranger.hear("status_change")
    await stranger.leave()
    assert said(stranger) == []


async def test_a_long_absence_is_replayed_as_fast_as_the_client_reads(house: House) -> None:
    ke = await taken(house)
    peer = house.listen("s-1")
    await peer.hear("status_change")
    await peer.leave()
    for number in range(2 * EVENTS):
        await say(ke, "s-1", str(number))
    again = house.listen("s-1", headers={"last-event-id": peer.last_id})
    await again.hear("manual_message", 2 * EVENTS)
    assert said(again) == [str(number) for number in range(2 * EVENTS)]
    await again.leave()


async def test_a_client_that_would_miss_a_message_is_let_go_and_misses_none(house: House) -> None:
    ke = await taken(house)
    peer = house.listen("s-1")
    await peer.hear("status_change")
    peer.is_reading = False
    for number in range(EVENTS + 20):
        await say(ke, "s-1", str(number))
    await until(lambda: len([each for each in house.hub if each.topics]) == 0)
    peer.is_reading = True
    await peer.end()
    assert peer.close_code == 4008
    heard = said(peer)
    assert heard == [str(number) for number in range(len(heard))]
    again = house.listen("s-1", headers={"last-event-id": peer.last_id})
    await again.hear("manual_message", EVENTS + 20 - len(heard))
    assert heard + said(again) == [str(number) for number in range(EVENTS + 20)]
    await again.leave()


async def test_a_client_that_takes_nothing_for_too_long_is_cut(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "IDLE_S", 0.1)
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.02)
    await taken(house)
    peer = house.listen("s-1")
    await peer.hear("status_change")
    peer.is_reading = False
    await peer.task
    assert not peer.is_over
    assert house.streams.count == 0


async def test_a_silent_stream_beats_and_pings(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.01)
    peer = house.listen("s-1")
    ping = await peer.hear("ping", 3)
    assert isinstance(ping["timestamp"], float)
    assert peer.beats >= 3
    assert peer.body.startswith(b"retry: ")
    await peer.leave()


async def test_without_a_name_the_guest_of_the_cookie_listens(house: House) -> None:
    peer = house.listen()
    await until(lambda: peer.status == 200)
    cookie = peer.headers["set-cookie"].split(";")[0]
    assert cookie.startswith(f"{COOKIE}=")
    told = await house.post("/api/chat", headers={"cookie": cookie}, message="你好")
    assert "set-cookie" not in told.headers
    assert (await peer.hear("message"))["content"] == told.json()["message"]
    again = house.listen(headers={"cookie": cookie})
    assert (await again.hear("status_change"))["status"] == "bot_active"
    assert "set-cookie" not in again.headers
    await peer.leave()
    await again.leave()


async def test_a_name_that_can_be_none_is_no_stream(house: House) -> None:
    for name in ("a%20b", "queue", "x" * 129):
        refused = await house.listen(name).end()
        assert (refused.status, refused.answer["code"]) == (400, "INVALID_MESSAGE")


async def test_a_question_about_the_headers_opens_nothing(house: House) -> None:
    told = await house.client.head("/api/chat/stream", params={"session_name": "s-1"})
    assert told.headers["content-type"] == "text/event-stream"
    assert len(house.hub) == 0


async def test_a_socket_of_the_same_customer_and_the_stream_hear_the_same(house: House) -> None:
    signed = house.token("u-1")
    query = f"token={signed['authorization'].removeprefix('Bearer ')}"
    peer = house.stream("GET", query=query)
    await until(lambda: peer.status == 200)
    await house.post("/api/chat", headers=signed, message="你好")
    await peer.hear("message")
    assert said(peer) == ["你好"]
    await peer.leave()


# --- agents ---------------------------------------------------------------------------------------


async def test_an_agent_hears_of_the_queue_and_of_their_own_sessions(house: House) -> None:
    ke = await house.worker("小可")
    await house.escalate("s-1")
    desk = house.stream("GET", "/api/agent/events", headers=ke.headers)
    snapshot = await desk.hear("queue_snapshot")
    assert [item["session_name"] for item in snapshot["waiting"]] == ["s-1"]
    await house.escalate("s-2")
    added = await desk.hear("queue_update")
    assert (added["change"], added["session_name"]) == ("added", "s-2")
    await ke.take("s-1")
    await house.post("/api/manual/messages", session_name="s-1", role="user", content="在吗")
    heard = await desk.hear("manual_message")
    assert (heard["session_name"], heard["role"], heard["content"]) == ("s-1", "user", "在吗")
    live_status = desk.heard("status_change")[0]
    assert (live_status["status"], live_status["session_name"]) == ("manual_live", "s-1")
    assert desk.heard("agent_status")
    await desk.leave()

    await house.post("/api/manual/messages", session_name="s-1", role="user", content="还在吗")
    again = house.stream(
        "GET", "/api/agent/events", headers=ke.headers | {"last-event-id": desk.last_id}
    )
    await again.hear("manual_message")
    assert said(again) == ["还在吗"]
    assert again.heard("queue_snapshot") == [], "the feed goes on where it was"
    await again.leave()


async def test_an_agents_stream_is_open_to_agents_alone_and_ends_with_their_session(
    house: House,
) -> None:
    ke = await house.worker()
    token = ke.token
    desk = house.stream("GET", "/api/agent/events", query=f"token={token}")
    await desk.hear("queue_snapshot")
    for each in tuple(house.hub):
        each.close(CloseCode.SIGNED_OUT)
    await desk.end()
    assert desk.close_code == 4501


async def test_a_broken_name_lookup_costs_the_name_and_not_the_event(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: object, _ids: object) -> dict[Any, str]:
        raise StoreUnavailable("gone for a test")

    monkeypatch.setattr(type(house.sessions), "names", fail)
    ke = await house.worker()
    await house.escalate("s-1")
    desk = house.stream("GET", "/api/agent/events", headers=ke.headers)
    snapshot = await desk.hear("queue_snapshot")
    assert snapshot["waiting"][0]["session_name"] is None
    assert json.dumps(snapshot)
    await desk.leave()
