"""A message to the bot over plain HTTP, and every way in which it can be answered."""

import json
from typing import Any

import anyio
import pytest

from kefu.gateway.facade import turns
from kefu.shifts.messages import Duty
from protocol.codes import ErrorCode
from tests.facade.house import House
from tests.until import until

WHOLE = "您好，有什么可以帮您？"


def failure(body: dict[str, Any]) -> str:
    """The code of a refusal in the one shape clients know."""
    assert set(body) <= {"success", "code", "detail", "error", "retry_after_s", "fields", "errors"}
    assert body["success"] is False
    assert body["detail"] == body["code"]
    assert body["error"]
    code: str = body["code"]
    return code


async def test_the_bot_answers_whole(house: House) -> None:
    told = await house.post("/api/chat", message="你好", user_id="s-1")
    assert told.status_code == 200
    assert told.json() == {"success": True, "message": WHOLE}
    assert [asked.session for asked in house.bot.asked] == ["s-1"]


async def test_each_session_is_a_conversation_of_its_own(house: House) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(house.ask, f"s-{number}", f"我是{number}")
    for number in range(5):
        told = await house.ask(f"s-{number}", "还有")
        assert told["success"]
    bot = house.bot
    asked = {(q.session, q.text): e for q, e in zip(bot.asked, bot.earlier, strict=True)}
    for number in range(5):
        earlier = [said.content for said in asked[f"s-{number}", "还有"]]
        assert earlier == [f"我是{number}", WHOLE]


async def test_a_message_that_calls_for_a_human_says_so_and_the_next_is_refused(
    house: House,
) -> None:
    told = await house.ask("s-1", "我要投诉")
    assert (told["success"], told["status"]) == (True, "pending_manual")
    assert "人工" in told["message"]
    assert house.bot.asked == []
    for path in ("/api/chat", "/api/chat/stream"):
        refused = await house.post(path, message="你好", user_id="s-1")
        assert refused.status_code == 409
        assert failure(refused.json()) == "MANUAL_IN_PROGRESS"


async def test_the_bots_failures_call_for_a_human_with_its_last_answer(house: House) -> None:
    house.bot.outcome = "unknown"
    for _ in range(2):
        assert await house.ask("s-1", "?") == {"success": True, "message": WHOLE}
    told = await house.ask("s-1", "?")
    assert told["status"] == "pending_manual"
    assert told["message"].startswith(WHOLE + "\n\n")


async def test_a_provider_that_fails_is_no_failed_call(house: House) -> None:
    house.bot.outcome, house.bot.pieces = "failed", ("请稍后再试。",)
    told = await house.post("/api/chat", message="你好", user_id="s-1")
    assert told.status_code == 200
    assert failure(told.json()) == "AI_UNAVAILABLE"
    assert told.json()["error"] == "请稍后再试。"
    house.bot.error = RuntimeError("a bug")
    told = await house.post("/api/chat", message="你好", user_id="s-1")
    assert (told.status_code, failure(told.json())) == (200, "AI_UNAVAILABLE")


async def test_after_hours_the_customer_is_told_and_the_bot_stays(house: House) -> None:
    house.duty = Duty(is_open=False)
    told = await house.ask("s-1", "转人工")
    assert "status" not in told
    assert "邮箱" in told["message"]
    assert await house.ask("s-1", "好吧") == {"success": True, "message": WHOLE}


async def test_an_address_left_after_hours_is_answered(house: House) -> None:
    house.duty = Duty(is_open=False)
    await house.ask("s-1", "转人工")
    told = await house.ask("s-1", "a@b.example")
    assert "a@b.example" in told["message"]


async def test_without_a_bot_the_message_waits_for_a_human(house: House) -> None:
    house.bot = None
    told = await house.ask("s-1", "在吗")
    assert (told["success"], told["status"]) == (True, "pending_manual")
    assert told["message"]


async def test_an_agent_who_takes_the_chat_ends_the_waiting(house: House) -> None:
    house.bot.gap_s = 5.0
    ke = await house.worker()
    codes: list[str] = []

    async def ask() -> None:
        codes.append(failure(await house.ask("s-1", "你好")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await until(lambda: house.is_asked("s-1"))
        assert (await ke.take("s-1")).status_code == 200
    assert codes == ["MANUAL_IN_PROGRESS"]


async def test_a_message_sent_again_is_answered_the_same_and_asked_once(house: House) -> None:
    first = await house.ask("s-1", "你好", client_message_id="m-1")
    again = await house.ask("s-1", "你好", client_message_id="m-1")
    assert again == first == {"success": True, "message": WHOLE}
    assert len(house.bot.asked) == 1
    other = await house.ask("s-1", "别的", client_message_id="m-1")
    assert failure(other) == "INVALID_MESSAGE"
    await house.escalate("s-1")
    assert await house.ask("s-1", "你好", client_message_id="m-1") == first | {
        "status": "pending_manual"
    }


async def test_two_messages_at_once_are_both_answered(house: House) -> None:
    house.bot.gap_s = 0.05
    answers: list[dict[str, Any]] = []

    async def ask(text: str) -> None:
        answers.append(await house.ask("s-1", text))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "一")
        await until(lambda: house.is_asked("s-1"))
        tasks.start_soon(ask, "二")
    assert answers == [{"success": True, "message": WHOLE}] * 2
    assert [asked.text for asked in house.bot.asked] == ["一", "二"]


async def test_frames_that_get_lost_cost_a_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(turns.Turn, "_hear", lambda _self, _outgoing: None)
    assert await house.ask("s-1", "你好") == {"success": True, "message": WHOLE}


async def test_a_bot_that_never_answers_is_not_waited_for_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "ANSWER_WITHIN_S", 0.1)
    house.bot.gap_s = 0.5
    assert failure(await house.ask("s-1", "你好")) == "AI_UNAVAILABLE"


async def test_asking_too_fast_is_refused_with_the_time_to_wait(house: House) -> None:
    for _ in range(20):
        assert (await house.ask("s-1", "?"))["success"]
    refused = await house.post("/api/chat", message="?", user_id="s-1")
    assert refused.status_code == 429
    assert failure(refused.json()) == "RATE_LIMITED"
    assert int(refused.headers["retry-after"]) > 0
    assert (await house.ask("s-2", "?"))["success"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "INVALID_MESSAGE"),
        (b"{", "INVALID_MESSAGE"),
        (b"[]", "INVALID_MESSAGE"),
        (b"\xff", "INVALID_MESSAGE"),
        (b'{"user_id": "s-1"}', "INVALID_MESSAGE"),
        (b'{"message": "", "user_id": "s-1"}', "INVALID_MESSAGE"),
        (b'{"message": 1, "user_id": "s-1"}', "INVALID_MESSAGE"),
        (b'{"message": "\\u0000", "user_id": "s-1"}', "INVALID_MESSAGE"),
        (b'{"message": "a", "user_id": "a b"}', "INVALID_MESSAGE"),
        (b'{"message": "a", "user_id": ""}', "INVALID_MESSAGE"),
        (b'{"message": "a", "user_id": "queue"}', "INVALID_MESSAGE"),
        (b'{"message": "a", "user_id": "stats"}', "INVALID_MESSAGE"),
        (b'{"message": "a", "user_id": "a\\n"}', "INVALID_MESSAGE"),
        (json.dumps({"message": "a", "user_id": "x" * 129}).encode(), "INVALID_MESSAGE"),
        (json.dumps({"message": "长" * 4001, "user_id": "a"}).encode(), "CONTENT_TOO_LONG"),
        (json.dumps({"message": "a", "parameters": "p" * 66_000}).encode(), "TOO_LARGE"),
    ],
)
async def test_what_is_no_message_is_refused_in_the_one_shape(
    house: House, body: bytes, code: str
) -> None:
    for path in ("/api/chat", "/api/chat/stream"):
        refused = await house.client.post(path, content=body)
        assert failure(refused.json()) == code
        assert refused.status_code == (413 if code == ErrorCode.TOO_LARGE else 400)
    assert house.bot.asked == []


async def test_the_longest_message_may_be_escaped_and_have_parameters(house: House) -> None:
    body = {
        "message": "长" * 4000,
        "user_id": "x" * 128,
        "conversation_id": "anything",
        "parameters": {"a": [1, {"b": None}]},
        "client_message_id": "m" * 64,
        "unknown": 1,
    }
    told = await house.client.post("/api/chat", content=json.dumps(body))
    assert told.json()["success"], told.text


async def test_a_new_conversation_is_the_providers_and_each_session_has_its_own(
    house: House,
) -> None:
    one = await house.post("/api/conversation/new", session_id="s-1")
    other = await house.post("/api/conversation/create", user_id="s-2")
    assert one.json() == {"success": True, "conversation_id": "conversation-1"}
    assert other.json() == {"success": True, "conversation_id": "conversation-2"}
    cleared = await house.post("/api/conversation/clear", session_id="s-1")
    assert cleared.json() == {"success": True, "conversation_id": "conversation-3"}
    assert house.contexts.by_session == {"s-1": "conversation-3", "s-2": "conversation-2"}


async def test_nothing_is_cleared_while_a_human_is_called_for(house: House) -> None:
    await house.escalate("s-1")
    refused = await house.post("/api/conversation/clear", session_id="s-1")
    assert (refused.status_code, failure(refused.json())) == (409, "MANUAL_IN_PROGRESS")
    assert (await house.post("/api/conversation/new", session_id="s-1")).status_code == 200


async def test_a_closed_session_begins_anew_with_the_next_message(house: House) -> None:
    await house.ask("s-1", "一")
    first = await house.session("s-1")
    await house.end("s-1")
    assert (await house.session("s-1"))["status"] == "closed"
    await house.ask("s-1", "二")
    second = await house.session("s-1")
    assert second["status"] == "bot_active"
    assert second["chat_id"] != first["chat_id"]
    assert [entry["content"] for entry in second["history"]] == ["二", WHOLE]


async def test_a_bot_that_went_down_with_its_instance_is_woken(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOOK_EVERY_S", 0.1)
    house.bot.gap_s = 60.0
    answers: list[dict[str, Any]] = []

    async def ask() -> None:
        answers.append(await house.ask("s-1", "你好"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await until(lambda: house.is_asked("s-1"))
        house.bot.gap_s = 0.01
        await house.forget("s-1")
    assert answers == [{"success": True, "message": WHOLE}]
    assert len(house.bot.asked) == 2
