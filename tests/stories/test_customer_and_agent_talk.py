"""The scenarios of the requirement documents, over real sockets against a real server."""

from collections import Counter

import anyio
import pytest

from tests.server import People
from tests.talk import Talker


async def test_a_customer_who_starts_a_chat_waits(people: People) -> None:
    async with people.connected(people.customer()) as customer:
        await customer.send("start_chat", {"topic": "尺码"}, id="1")
        first = await customer.next()

    assert first["type"] == "chat_status"
    assert first["reply_to"] == "1"
    assert first["payload"]["status"] == "waiting"
    assert first["payload"]["queue_position"] >= 1
    assert first["payload"]["topic"] == "尺码"


async def test_an_agent_who_accepts_and_writes_at_once_is_heard(people: People) -> None:
    agent = await people.agent("小可")
    async with (
        people.connected(people.customer()) as customer,
        people.connected(agent.token) as desk,
    ):
        chat_id = await customer.start()
        await desk.send("accept_chat", {"chat_id": chat_id})
        await desk.send("send_message", {"content": "您好"})

        active = await customer.expect("chat_status", status="active")
        message = await customer.expect("new_message")

    assert active["payload"]["agent"]["name"] == "小可"
    assert message["payload"]["content"] == "您好"
    assert message["payload"]["sender_type"] == "agent"
    assert message["payload"]["seq"] == 1


async def test_who_reconnects_first_hears_how_their_chat_stands(people: People) -> None:
    token = people.customer()
    async with people.connected(token, in_query=True) as customer:
        chat_id = await customer.start()
    async with people.connected(token, in_query=True) as customer:
        first = await customer.next()

    assert first["type"] == "chat_status"
    assert first["payload"]["chat_id"] == chat_id
    assert first["payload"]["status"] == "waiting"


async def test_two_agents_accept_at_once_and_one_wins(people: People) -> None:
    one, other = await people.agent("甲"), await people.agent("乙")
    async with (
        people.connected(people.customer()) as customer,
        people.connected(one.token) as first,
        people.connected(other.token) as second,
    ):
        chat_id = await customer.start()
        outcomes: list[str] = []

        async def accept(desk: Talker) -> None:
            await desk.send("accept_chat", {"chat_id": chat_id}, id="accept")
            frame = await desk.next()
            payload = frame["payload"]
            outcomes.append(payload.get("code") or payload["status"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accept, first)
            tasks.start_soon(accept, second)

    assert Counter(outcomes) == {"active": 1, "ALREADY_TAKEN": 1}


async def test_a_message_sent_again_on_a_new_connection_is_the_same_message(
    people: People,
) -> None:
    token = people.customer()
    async with people.connected(token) as customer:
        chat_id = await customer.start()
        first = await customer.say("在吗", client_message_id="m-1")
    async with people.connected(token) as customer:
        again = await customer.say("在吗", client_message_id="m-1")
        await customer.send("send_message", {"content": "别的", "client_message_id": "m-1"})
        refused = await customer.expect("error")
        await customer.send("resume", {"chat_id": chat_id, "last_seq": 0})
        replayed = [f for f in await customer.settle() if f["type"] == "new_message"]

    assert again == first
    assert refused["payload"]["code"] == "INVALID_MESSAGE"
    assert [frame["payload"]["content"] for frame in replayed] == ["在吗"]


async def test_a_message_sent_again_after_its_chat_ended_opens_no_new_chat(
    people: People,
) -> None:
    async with people.connected(people.customer()) as customer:
        await customer.start()
        first = await customer.say("在吗", client_message_id="m-1")
        await customer.send("end_chat")
        await customer.expect("chat_status", status="ended")
        again = await customer.say("在吗", client_message_id="m-1")
        frames = await customer.settle()

    assert again == first
    assert frames == []


async def test_resume_sends_exactly_what_was_missed(people: People) -> None:
    agent, token = await people.agent(), people.customer()
    async with people.connected(agent.token) as desk:
        async with people.connected(token) as customer:
            chat_id = await customer.start()
            await desk.send("accept_chat", {"chat_id": chat_id})
            await desk.expect("chat_status")
            await customer.say("一")
            await desk.say("二")
            await customer.expect("new_message")
        await desk.say("三")
        await desk.say("四")
        async with people.connected(token) as customer:
            status = await customer.next()
            await desk.say("五")
            await customer.send("resume", {"chat_id": chat_id, "last_seq": 2}, id="r")
            answer = await customer.expect("chat_status")
            frames = [await customer.expect("new_message") for _ in range(3)]
            rest = await customer.settle()

    assert (answer["reply_to"], answer["payload"]["last_seq"]) == ("r", 4)
    assert status["payload"]["last_seq"] == 4
    assert sorted(frame["payload"]["seq"] for frame in frames) == [3, 4, 5]
    assert {f["payload"]["seq"]: f["payload"]["content"] for f in frames} == {
        3: "三",
        4: "四",
        5: "五",
    }
    assert rest == []


async def test_a_client_far_behind_is_told_that_it_gets_only_the_end(people: People) -> None:
    token = people.customer()
    async with people.connected(token) as customer:
        chat_id = await customer.start()
        for number in range(1, 6):
            await customer.say(str(number))
        await customer.send("resume", {"chat_id": chat_id, "last_seq": 9})
        status = await customer.expect("chat_status")
        frames = await customer.settle()

    assert status["payload"]["resync"] is True
    assert status["payload"]["last_seq"] == 5
    assert [frame["payload"]["seq"] for frame in frames] == [1, 2, 3, 4, 5]


async def test_another_customers_chat_does_not_exist(people: People) -> None:
    async with (
        people.connected(people.customer()) as owner,
        people.connected(people.customer()) as stranger,
    ):
        chat_id = await owner.start()
        for type, payload in (
            ("send_message", {"chat_id": chat_id, "content": "?"}),
            ("resume", {"chat_id": chat_id, "last_seq": 0}),
            ("end_chat", {"chat_id": chat_id}),
            ("rate_chat", {"chat_id": chat_id, "rating": 1}),
            ("request_human", {"chat_id": chat_id}),
            ("return_to_bot", {"chat_id": chat_id}),
        ):
            await stranger.send(type, payload, id=type)
            frame = await stranger.next()
            assert (frame["type"], frame["reply_to"]) == ("error", type)
            assert frame["payload"]["code"] == "CHAT_NOT_FOUND"
        frames = await owner.settle()
    # their own place in the queue may have changed: the server is shared
    assert [frame for frame in frames if frame["payload"].get("status") != "waiting"] == []


async def test_an_agent_reaches_only_their_own_chats(people: People) -> None:
    mine, other = await people.agent("甲"), await people.agent("乙")
    async with (
        people.connected(people.customer()) as customer,
        people.connected(mine.token) as desk,
        people.connected(other.token) as stranger,
    ):
        chat_id = await customer.start()
        await desk.send("accept_chat", {"chat_id": chat_id})
        await desk.expect("chat_status")
        for type in ("send_message", "end_chat", "release_chat"):
            await stranger.send(type, {"chat_id": chat_id, "content": "?"})
            frame = await stranger.expect("error")
            assert frame["payload"]["code"] == "CHAT_NOT_FOUND"
        await stranger.send("send_message", {"content": "?"})
        frame = await stranger.expect("error")

    assert frame["payload"]["code"] == "CHAT_ID_REQUIRED"


async def test_a_chat_from_the_first_word_to_the_rating(people: People) -> None:
    agent = await people.agent("小可")
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(agent) as desk,
    ):
        chat_id = (await customer.say("退款多久到账？"))["chat_id"]
        await customer.expect("chat_status", status="waiting")
        await desk.expect("queue_update", chat_id=chat_id, change="added")
        await desk.send("accept_chat", {"chat_id": chat_id})
        await desk.expect("chat_status", status="active")
        await desk.expect("queue_update", chat_id=chat_id, change="removed")
        await desk.send("resume", {"chat_id": chat_id, "last_seq": 0})
        assert (await desk.expect("new_message"))["payload"]["content"] == "退款多久到账？"

        await desk.send("typing", {"chat_id": chat_id, "is_typing": True})
        assert (await customer.expect("typing"))["payload"]["sender_type"] == "agent"
        await desk.say("三个工作日内。", chat_id=chat_id)
        seq = (await customer.expect("new_message"))["payload"]["seq"]
        await customer.send("mark_read", {"seq": seq})
        assert (await desk.expect("read"))["payload"]["seq"] == seq

        await customer.send("end_chat", {"rating": 5, "feedback": "谢谢"})
        ended = await customer.expect("chat_status", status="ended")
        await desk.expect("chat_status", status="ended")
        await customer.send("rate_chat", {"rating": 1})
        again = await customer.expect("error")

    assert ended["payload"]["rating"] == 5
    assert again["payload"]["code"] == "INVALID_MESSAGE"


async def test_a_chat_is_transferred_to_a_colleague_who_is_free(people: People) -> None:
    one, other = await people.agent("甲"), await people.agent("乙")
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(one) as first,
        people.at_work(other) as second,
    ):
        chat_id = await customer.start()
        await first.send("accept_chat", {"chat_id": chat_id})
        await first.expect("chat_status", status="active")
        wish = {"chat_id": chat_id, "to_agent_id": str(other.id), "reason": "语言"}
        await first.send("transfer_chat", wish, id="t")
        result = await first.expect("transfer_result")
        taken = await second.expect("chat_status", chat_id=chat_id)
        await second.say("我来接手", chat_id=chat_id)
        message = await customer.expect("new_message")
        await first.send("send_message", {"chat_id": chat_id, "content": "还有"})
        refused = await first.expect("error")

    assert result["payload"]["outcome"] == "transferred"
    assert taken["payload"]["agent"]["name"] == "乙"
    assert message["payload"]["sender_name"] == "乙"
    assert refused["payload"]["code"] == "CHAT_NOT_FOUND"


async def test_a_transfer_by_offer_waits_for_the_colleagues_answer(people: People) -> None:
    one, other = await people.agent("甲"), await people.agent("乙")
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(one) as first,
        people.at_work(other) as second,
    ):
        chat_id = await customer.start()
        await first.send("accept_chat", {"chat_id": chat_id})
        await first.expect("chat_status", status="active")
        wish = {"chat_id": chat_id, "to_agent_id": str(other.id), "offer": True}
        await first.send("transfer_chat", wish)
        assert (await first.expect("transfer_result"))["payload"]["outcome"] == "offered"
        offer = (await second.expect("transfer_request"))["payload"]
        answer = {"request_id": offer["request_id"], "accept": False}
        await second.send("respond_transfer", answer)
        assert (await first.expect("transfer_result"))["payload"]["outcome"] == "declined"

        await first.send("transfer_chat", wish)
        offer = (await second.expect("transfer_request"))["payload"]
        answer = {"request_id": offer["request_id"], "accept": True}
        await second.send("respond_transfer", answer)
        await first.expect("transfer_result", outcome="transferred")
        status = await customer.expect("chat_status", agent={"id": str(other.id), "name": "乙"})

    assert status["payload"]["status"] == "active"


async def test_a_released_chat_goes_back_and_a_new_word_calls_a_human_again(
    people: People,
) -> None:
    agent = await people.agent()
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(agent) as desk,
    ):
        chat_id = await customer.start()
        await desk.send("accept_chat", {"chat_id": chat_id})
        await desk.expect("chat_status", status="active")
        await desk.send("release_chat", {"chat_id": chat_id})
        await desk.expect("chat_status", status="bot")
        await customer.expect("chat_status", status="bot")
        farewell = await customer.expect("new_message")
        await customer.say("还在吗")
        await customer.expect("chat_status", status="waiting")

    assert farewell["payload"]["sender_type"] == "system"


async def test_a_note_reaches_no_customer(people: People) -> None:
    agent = await people.agent()
    async with (
        people.connected(people.customer()) as customer,
        people.at_work(agent) as desk,
    ):
        chat_id = await customer.start()
        await desk.send("accept_chat", {"chat_id": chat_id})
        await desk.expect("chat_status", status="active")
        await desk.send("add_note", {"chat_id": chat_id, "content": "秘密"}, id="n")
        note = await desk.expect("note_added")
        await desk.say("您好", chat_id=chat_id)
        frames = await customer.settle()

    assert note["reply_to"] == "n"
    assert [frame["type"] for frame in frames] == ["chat_status", "new_message"]
    assert "秘密" not in str(customer.heard)


async def test_an_agent_never_holds_more_chats_than_places(people: People) -> None:
    agent = await people.agent(max_sessions=2)
    async with people.at_work(agent) as desk:
        chats = []
        for _ in range(3):
            async with people.connected(people.customer()) as customer:
                chats.append(await customer.start())
        for chat_id in chats:
            await desk.send("accept_chat", {"chat_id": chat_id})
        refused = await desk.expect("error")
        await desk.send("end_chat", {"chat_id": chats[0]})
        await desk.expect("chat_status", status="ended")
        await desk.send("accept_chat", {"chat_id": chats[2]})
        await desk.expect("chat_status", chat_id=chats[2], status="active")

    assert refused["payload"]["code"] == "AGENT_AT_CAPACITY"


async def test_a_guest_comes_back_with_the_token_of_the_first_status(people: People) -> None:
    async with people.connected(None) as guest:
        await guest.send("start_chat")
        status = await guest.next()
    guest_token = status["payload"]["guest_token"]
    async with people.connected(guest_token) as guest:
        first = await guest.next()

    assert first["payload"]["chat_id"] == status["payload"]["chat_id"]
    assert "guest_token" not in first["payload"]


async def test_two_windows_of_one_customer_see_the_same_chat(people: People) -> None:
    token = people.customer()
    async with people.connected(token) as one, people.connected(token) as other:
        chat_id = await one.start()
        status = await other.expect("chat_status")
        await one.say("一")
        message = await other.expect("new_message")
        await one.settle()

    assert status["payload"]["chat_id"] == chat_id
    assert message["payload"]["content"] == "一"
    assert not any(frame["type"] == "new_message" for frame in one.heard)


@pytest.mark.parametrize("path", ["/ws", "/ws/chat"])
async def test_both_addresses_answer(people: People, path: str) -> None:
    async with people.connected(people.customer(), path) as customer:
        await customer.send("ping", id="p")
        assert (await customer.next())["reply_to"] == "p"
