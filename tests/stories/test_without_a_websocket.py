"""The same chats by server-sent events and POST, over real HTTP against a real server."""

from typing import Any

import pytest

from tests.server import People
from tests.stories.event_source import PATH, Poster, frame
from tests.talk import Talker


def poster(people: People, token: str | None) -> Poster:
    return Poster(people.server.url, token)


def contents(frames: list[dict[str, Any]]) -> list[str]:
    return [each["payload"]["content"] for each in frames if each["type"] == "new_message"]


async def accepted(desk: Talker, chat_id: str) -> None:
    await desk.send("accept_chat", {"chat_id": chat_id})
    await desk.expect("chat_status", status="active")


async def test_a_customer_by_http_talks_with_an_agent_on_a_websocket(people: People) -> None:
    agent = await people.agent("小可")
    async with (
        poster(people, people.customer()) as customer,
        customer.listening() as stream,
        people.connected(agent.token) as desk,
    ):
        (waiting,) = await customer.post(frame("start_chat", topic="尺码") | {"id": "1"})
        chat_id = waiting["payload"]["chat_id"]
        await accepted(desk, chat_id)
        active = await stream.expect("chat_status", status="active")
        receipt = await customer.say("在吗")
        await desk.expect("new_message", content="在吗")
        await desk.say("您好")
        message = await stream.expect("new_message", content="您好")
        await customer.post(frame("typing", is_typing=True))
        await desk.expect("typing", is_typing=True, sender_type="customer")

    assert (waiting["reply_to"], waiting["payload"]["status"]) == ("1", "waiting")
    assert active["payload"]["agent"]["name"] == "小可"
    assert (receipt["seq"], message["payload"]["seq"]) == (1, 2)
    assert contents(stream.frames) == ["在吗", "您好"], "what one device says the others hear"


async def test_the_stream_is_one_that_nobody_keeps_or_holds_back(people: People) -> None:
    async with poster(people, people.customer()) as customer, customer.listening() as stream:
        await customer.start()
        await stream.expect("chat_status")

    headers = stream.response.headers
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-content-type-options"] == "nosniff"
    assert 1000 <= stream.retry_ms <= 3000


async def test_a_stream_that_was_cut_goes_on_exactly_where_it_was(people: People) -> None:
    agent = await people.agent()
    async with (
        poster(people, people.customer()) as customer,
        people.connected(agent.token) as desk,
    ):
        async with customer.listening() as stream:
            chat_id = await customer.start()
            await accepted(desk, chat_id)
            for number in range(1, 7):
                await desk.say(str(number))
            await stream.expect("new_message", content="4")  # 5 and 6 are never read
        await desk.say("7")
        async with customer.listening(stream.last_id) as again:
            first = await again.next()
            await again.expect("new_message", content="7")
            await desk.say("8")
            await again.expect("new_message", content="8")
            await desk.say("9")
        async with customer.listening(again.last_id) as third:
            await third.expect("new_message", content="9")
            await desk.send("typing", {"chat_id": chat_id, "is_typing": True})
            await third.expect("typing")

    assert contents(stream.frames) == ["1", "2", "3", "4"]
    assert (first["type"], first["payload"]["last_seq"]) == ("chat_status", 7)
    assert contents(again.frames) == ["5", "6", "7", "8"]
    assert contents(third.frames) == ["9"]


async def test_who_comes_back_to_a_chat_that_has_ended_hears_so_and_what_was_said(
    people: People,
) -> None:
    agent = await people.agent()
    async with (
        poster(people, people.customer()) as customer,
        people.connected(agent.token) as desk,
    ):
        async with customer.listening() as stream:
            chat_id = await customer.start()
            await accepted(desk, chat_id)
            await stream.expect("chat_status", status="active")
        await desk.say("再见")
        await desk.send("end_chat", {"chat_id": chat_id}, id="end")
        await desk.expect("chat_status", status="ended")
        async with customer.listening(stream.last_id) as again:
            status = await again.next()
            await again.expect("new_message", content="再见")
        async with customer.listening(again.last_id) as third:
            await customer.start()
            fresh = await third.next()

    assert (status["payload"]["chat_id"], status["payload"]["status"]) == (chat_id, "ended")
    assert again.last_id == "", "there is nothing left to go on with"
    assert fresh["payload"]["chat_id"] != chat_id


async def test_a_message_sent_again_by_post_is_the_same_message(people: People) -> None:
    token = people.customer()
    async with poster(people, token) as customer:
        await customer.start()
        first = await customer.say("在吗", client_message_id="m-1")
        again = await customer.say("在吗", client_message_id="m-1")
        (refused,) = await customer.post(
            frame("send_message", content="别的", client_message_id="m-1")
        )
    async with people.connected(token) as socket:
        same = await socket.say("在吗", client_message_id="m-1")

    assert first["seq"] == again["seq"] == same["seq"] == 1
    assert first["message_id"] == again["message_id"] == same["message_id"]
    assert refused["payload"]["code"] == "INVALID_MESSAGE"


async def test_a_posted_list_takes_effect_in_its_order(people: People) -> None:
    async with poster(people, people.customer()) as customer:
        caused = await customer.post(
            frame("start_chat") | {"id": "a"},
            frame("send_message", content="一") | {"id": "b"},
            frame("send_message", content="二") | {"id": "b"},
            frame("typing", is_typing=True),
            frame("ping") | {"id": "c"},
            frame("end_chat", rating=5) | {"id": "d"},
        )

    by_kind = [(each["type"], each.get("reply_to")) for each in caused]
    assert sorted(by_kind) == sorted(
        [
            ("chat_status", "a"),
            ("message_ack", "b"),
            ("message_ack", "b"),
            ("pong", "c"),
            ("chat_status", "d"),
        ]
    )
    receipts = [each["payload"]["seq"] for each in caused if each["type"] == "message_ack"]
    assert receipts == [1, 2]
    assert by_kind[0] == ("chat_status", "a")
    assert by_kind.index(("chat_status", "d")) > by_kind.index(("message_ack", "b"))


async def test_resume_by_post_answers_with_the_messages(people: People) -> None:
    async with poster(people, people.customer()) as customer:
        chat_id = await customer.start()
        for word in ("一", "二", "三"):
            await customer.say(word)
        status, *messages = await customer.post(
            frame("resume", chat_id=chat_id, last_seq=1) | {"id": "r"}
        )
        (behind,) = await customer.post(frame("resume", chat_id=chat_id, last_seq=3))

    assert (status["type"], status["reply_to"]) == ("chat_status", "r")
    assert status["payload"]["last_seq"] == behind["payload"]["last_seq"] == 3
    assert contents(messages) == ["二", "三"]


async def test_a_guest_finds_in_the_answer_how_to_come_back(people: People) -> None:
    async with poster(people, None) as stranger:
        caused = await stranger.post(frame("send_message", content="有人吗") | {"id": "1"})
    statuses = [each["payload"] for each in caused if each["type"] == "chat_status"]
    assert [each["reply_to"] for each in caused if each["type"] == "message_ack"] == ["1"]
    (token,) = [each["guest_token"] for each in statuses if "guest_token" in each]

    async with poster(people, token) as guest, guest.listening() as stream:
        status = await stream.next()
    assert status["payload"]["chat_id"] == statuses[0]["chat_id"]
    assert status["payload"]["last_seq"] == 1


async def test_an_agent_by_http_sees_the_queue_and_serves(people: People) -> None:
    agent = await people.agent()
    async with (
        people.connected(people.customer("李雷")) as customer,
        poster(people, agent.token) as desk,
        desk.listening() as stream,
    ):
        await stream.expect("queue_snapshot")
        chat_id = await customer.start()
        await stream.expect("queue_update", chat_id=chat_id, change="added")
        caused = await desk.post(
            frame("accept_chat", chat_id=chat_id) | {"id": "1"},
            frame("send_message", content="您好") | {"id": "2"},
        )
        await stream.expect("queue_update", chat_id=chat_id, change="removed")
        heard = await customer.expect("new_message", content="您好")
        await customer.say("谢谢")
        await stream.expect("new_message", content="谢谢")
        (ended,) = await desk.post(frame("end_chat") | {"id": "3"})
        (refused,) = await desk.post(frame("send_message", content="还在吗") | {"id": "4"})

    assert [each["reply_to"] for each in caused] == ["1", "2"]
    assert caused[0]["payload"]["customer"]["name"] == "李雷"
    assert heard["payload"]["seq"] == 1
    assert (ended["reply_to"], ended["payload"]["status"]) == ("3", "ended")
    assert (refused["reply_to"], refused["payload"]["code"]) == ("4", "CHAT_ID_REQUIRED")


async def test_an_agents_list_goes_on_where_it_was(people: People) -> None:
    agent = await people.agent()
    async with (
        people.connected(people.customer()) as one,
        people.connected(people.customer()) as two,
        poster(people, agent.token) as desk,
    ):
        async with desk.listening() as stream:
            snapshot = await stream.expect("queue_snapshot")
            first = await one.start()
            await stream.expect("queue_update", chat_id=first)
        second = await two.start()
        async with desk.listening(stream.last_id) as again:
            await again.expect("queue_update", chat_id=second, change="added")
            third = await one.start(topic="again")  # the same chat, and nothing new to the queue
            await two.send("end_chat", {})
            await again.expect("queue_update", chat_id=second, change="removed")

    def feed(frames: list[dict[str, Any]]) -> list[int]:
        kinds = ("queue_update", "agent_status")
        return [each["payload"]["feed_seq"] for each in frames if each["type"] in kinds]

    begin = snapshot["payload"]["feed_seq"]
    seen = feed(stream.frames) + feed(again.frames)
    known = [seq for seq in seen if seq > begin]
    assert known == list(range(begin + 1, begin + 1 + len(known))), "no gap and nothing twice"
    assert again.heard("queue_snapshot") == []
    assert third == first


async def test_the_feed_of_another_life_of_the_queue_begins_with_a_snapshot(people: People) -> None:
    agent = await people.agent()
    async with poster(people, agent.token) as desk, desk.listening("another@7") as stream:
        await stream.expect("queue_snapshot")


async def test_a_feed_that_is_up_to_date_is_answered_with_nothing(people: People) -> None:
    agent = await people.agent()
    async with poster(people, agent.token) as desk:
        (snapshot,) = await desk.post(frame("subscribe_queue"))
        point = snapshot["payload"]
        caused = await desk.post(
            frame("subscribe_queue", feed_id=point["feed_id"], last_feed_seq=point["feed_seq"])
        )
    assert {each["type"] for each in caused} <= {"queue_update", "agent_status"}


async def test_the_token_may_stand_in_the_query_where_headers_cannot_be_set(
    people: People,
) -> None:
    token = people.customer()
    async with poster(people, None) as nobody:
        answer = await nobody.client.post(PATH, params={"token": token}, json=frame("start_chat"))
        (status,) = answer.json()["data"]["frames"]
        async with nobody.listening(token=token) as stream:
            first = await stream.next()
    assert first["payload"]["chat_id"] == status["payload"]["chat_id"]


async def test_signing_out_ends_the_stream_and_says_why(people: People) -> None:
    agent = await people.agent()
    async with poster(people, agent.token) as desk, desk.listening() as stream:
        await stream.expect("queue_snapshot")
        await desk.client.post("/api/agent/logout")
        farewell = await stream.expect("close")
        with pytest.raises(AssertionError, match="the stream ended"):
            await stream.next()
    assert farewell["payload"]["code"] == 4501


async def test_what_streams_and_posts_cost_is_counted_under_their_route(people: People) -> None:
    async with poster(people, people.customer()) as customer:
        async with customer.listening() as stream:
            await customer.start()
            await stream.expect("chat_status")
            numbers = (await customer.client.get("/metrics")).text
        await customer.client.get(f"/api/chats/{stream.frames[0]['payload']['chat_id']}/messages")
        after = (await customer.client.get("/metrics")).text
    routes = {
        line.split('route="')[1].split('"')[0] for line in after.splitlines() if "route=" in line
    }
    assert PATH in routes
    assert "/api/chats/{chat_id}/messages" in routes
    assert 'kefu_connections{role="CustomerRole"}' in numbers
