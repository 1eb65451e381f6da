"""From the bot to a human and back, and from agent to agent, over plain HTTP."""

from typing import Any
from uuid import UUID

import anyio
import pytest

from kefu.conversations.events import HumanCalled
from kefu.shifts.messages import Duty
from tests.facade.house import House, Worker
from tests.facade.test_asking import failure
from tests.until import until

NOBODY = UUID(int=404)


async def test_a_session_that_is_not_known_begins_with_the_call_for_a_human(house: House) -> None:
    session = await house.escalate("s-1", "想问人")
    assert session["status"] == "pending_manual"
    assert session["escalation"]["reason"] == "manual"
    assert session["escalation"]["details"] == ["想问人"]
    assert session["escalation"]["severity"] == "high"
    assert session["priority"] == {
        "level": "normal",
        "is_vip": False,
        "wait_time_seconds": 0,
        "is_timeout": False,
    }
    again = await house.escalate("s-1")
    assert again["status"] == "pending_manual"
    assert again["chat_id"] == session["chat_id"]


async def test_after_hours_a_call_for_a_human_leaves_the_bot_in_charge(house: House) -> None:
    house.duty = Duty(is_open=False)
    session = await house.escalate("s-1")
    assert session["status"] == "bot_active"
    assert session["escalation"]["reason"] == "manual"
    assert session["history"][-1]["role"] == "system"


async def test_a_whole_handoff(house: House) -> None:
    ke = await house.worker("小可")
    await house.ask("s-1", "你好")
    await house.escalate("s-1")

    taken = await ke.take("s-1")
    assert taken.status_code == 200
    session = taken.json()["data"]
    assert session["status"] == "manual_live"
    assert session["assigned_agent"]["id"] == str(ke.id)
    assert session["assigned_agent"]["name"] == "小可"
    refused = await house.client.post("/api/manual/escalate", json={"session_name": "s-1"})
    assert (refused.status_code, failure(refused.json())) == (409, "MANUAL_IN_PROGRESS")

    said = await ke.post(
        "/api/manual/messages",
        session_name="s-1",
        role="agent",
        content="您好，我是小可",
        agent_info={"agent_id": "whatever"},
    )
    assert set(said.json()["data"]) == {"message_id", "timestamp"}
    answered = await house.post(
        "/api/manual/messages", session_name="s-1", role="user", content="退款呢"
    )
    assert isinstance(answered.json()["data"]["timestamp"], float)

    released = await ke.post("/api/sessions/s-1/release", agent_id=str(ke.id), reason="解决了")
    assert released.json()["data"]["status"] == "bot_active"
    assert released.json()["data"]["assigned_agent"] is None
    detail = (await ke.get("/api/sessions/s-1")).json()["data"]
    assert [(each["role"], each["content"]) for each in detail["session"]["history"]][2:4] == [
        ("agent", "您好，我是小可"),
        ("user", "退款呢"),
    ]
    assert detail["session"]["history"][2]["agent_name"] == "小可"
    assert detail["session"]["history"][4]["role"] == "system"
    steps = [(line["from"], line["to"], line["operator"]["type"]) for line in detail["audit_trail"]]
    assert steps == [
        ("bot_active", "pending_manual", "customer"),
        ("pending_manual", "manual_live", "agent"),
        ("manual_live", "bot_active", "agent"),
    ]
    assert detail["audit_trail"][2]["reason"] == "解决了"
    assert detail["audit_trail"][1]["operator"]["name"] == "小可"
    assert (await house.ask("s-1", "还有"))["success"]


async def test_a_customer_does_not_read_why_an_agent_let_go(house: House) -> None:
    ke = await house.worker()
    await house.escalate("s-1", "想问人")
    await ke.take("s-1")
    await ke.post("/api/sessions/s-1/release", reason="太烦了")
    told = (await house.client.get("/api/sessions/s-1")).json()["data"]["audit_trail"]
    assert [line["reason"] for line in told] == ["manual", None, None]


async def test_stepping_into_a_bot_chat_skips_no_state(house: House) -> None:
    ke = await house.worker()
    await house.ask("s-1", "你好")
    assert (await ke.take("s-1")).json()["data"]["status"] == "manual_live"
    trail = (await ke.get("/api/sessions/s-1")).json()["data"]["audit_trail"]
    assert [(line["from"], line["to"]) for line in trail] == [
        ("bot_active", "pending_manual"),
        ("pending_manual", "manual_live"),
    ]
    assert trail[0]["action"] == HumanCalled.__name__
    session = (await ke.get("/api/sessions/s-1")).json()["data"]["session"]
    assert session["escalation"] is None, "the agent came by themselves"


async def test_of_many_who_take_a_session_one_wins_and_the_others_hear_who(house: House) -> None:
    workers = [await house.worker(f"客服{number}") for number in range(6)]
    await house.escalate("s-1")
    told: list[tuple[Worker, Any]] = []

    async def take(worker: Worker) -> None:
        told.append((worker, await worker.take("s-1")))

    async with anyio.create_task_group() as tasks:
        for worker in workers:
            tasks.start_soon(take, worker)
    (winner,) = [worker for worker, answer in told if answer.status_code == 200]
    losers = [answer for _worker, answer in told if answer.status_code != 200]
    assert len(losers) == 5
    for answer in losers:
        assert answer.status_code == 409
        assert failure(answer.json()) == "ALREADY_TAKEN"
        assert winner.name in answer.json()["error"]
        assert answer.json()["fields"]["agent_id"] == str(winner.id)
        assert float(answer.json()["fields"]["taken_at"]) > 0
    assert (await winner.take("s-1")).status_code == 200, "asking again is no harm"


async def test_nobody_takes_from_a_colleague_here_whatever_their_role(house: House) -> None:
    ke, fu = await house.worker("小可"), await house.worker("主管", role="supervisor")
    await house.escalate("s-1")
    await ke.take("s-1")
    assert failure((await fu.take("s-1")).json()) == "ALREADY_TAKEN"


async def test_what_is_over_or_never_was_is_not_taken(house: House) -> None:
    ke = await house.worker()
    assert failure((await ke.take("s-1")).json()) == "CHAT_NOT_FOUND"
    await house.ask("s-1", "你好")
    await house.end("s-1")
    refused = await ke.take("s-1")
    assert (refused.status_code, failure(refused.json())) == (409, "INVALID_STATUS")


async def test_a_full_desk_takes_nothing_more(house: House) -> None:
    ke = await house.worker(max_sessions=1)
    await house.escalate("s-1")
    await house.escalate("s-2")
    assert (await ke.take("s-1")).status_code == 200
    refused = await ke.take("s-2")
    assert (refused.status_code, failure(refused.json())) == (409, "AGENT_AT_CAPACITY")
    await ke.release("s-1")
    assert (await ke.take("s-2")).status_code == 200


async def test_agents_speak_for_themselves_and_supervisors_for_others(house: House) -> None:
    ke, fu = await house.worker("小可"), await house.worker("小福")
    boss = await house.worker("主管", role="supervisor")
    await house.escalate("s-1")
    path = "/api/sessions/s-1/takeover"
    refused = await ke.post(path, agent_id=str(fu.id), agent_name="小福")
    assert (refused.status_code, failure(refused.json())) == (403, "FORBIDDEN")
    taken = await boss.post(path, agent_id=str(fu.id), agent_name="小福")
    assert taken.json()["data"]["assigned_agent"]["name"] == "小福"
    refused = await ke.post("/api/sessions/s-1/release", agent_id=str(ke.id))
    assert (refused.status_code, failure(refused.json())) == (404, "CHAT_NOT_FOUND")
    released = await boss.post("/api/sessions/s-1/release", agent_id=str(fu.id), reason="下班")
    assert released.json()["data"]["status"] == "bot_active"
    unknown = await boss.post(path, agent_id=str(NOBODY))
    assert failure(unknown.json()) == "AGENT_NOT_FOUND"
    assert failure((await boss.post(path, agent_id="nobody")).json()) == "INVALID_MESSAGE"
    assert (await ke.post(path)).status_code == 200, "left out, the caller is meant"


async def test_nothing_is_released_that_no_human_has(house: House) -> None:
    ke = await house.worker()
    await house.ask("s-1", "你好")
    refused = await ke.release("s-1")
    assert (refused.status_code, failure(refused.json())) == (409, "INVALID_STATUS")


async def test_messages_by_hand_are_for_the_human_phase_and_its_people(house: House) -> None:
    ke, fu = await house.worker("小可"), await house.worker("小福")
    path = "/api/manual/messages"
    body = {"session_name": "s-1", "role": "user", "content": "在吗"}
    assert (await house.post(path, **body)).status_code == 404
    await house.ask("s-1", "你好")
    refused = await house.post(path, **body)
    assert (refused.status_code, failure(refused.json())) == (409, "INVALID_STATUS")
    await house.escalate("s-1")
    assert (await house.post(path, **body)).status_code == 409
    await ke.take("s-1")
    assert (await house.post(path, **body)).status_code == 200
    mine = body | {"role": "agent"}
    assert (await ke.post(path, **mine)).status_code == 200
    assert (await fu.post(path, **mine)).status_code == 404
    assert (await house.post(path, **mine)).status_code == 401
    assert (await house.post(path, house.token("u-1"), **mine)).status_code == 401
    first = await ke.post(path, **mine, client_message_id="m-1")
    again = await ke.post(path, **mine, client_message_id="m-1")
    assert first.json()["data"]["message_id"] == again.json()["data"]["message_id"]
    for wrong in ({"role": "boss"}, {"content": ""}, {"session_name": "a b"}, {"content": 1}):
        assert (await ke.post(path, **mine | wrong)).status_code == 400


async def test_a_session_is_offered_to_a_colleague_who_accepts(house: House) -> None:
    ke, fu = await house.worker("小可"), await house.worker("小福")
    await house.escalate("s-1")
    await ke.take("s-1")
    path = "/api/sessions/s-1/transfer"
    wish = {
        "from_agent_id": str(ke.id),
        "to_agent_id": str(fu.id),
        "reason": "语言",
        "note": "会英文",
    }
    refused = await ke.post(path, **wish)
    assert (refused.status_code, failure(refused.json())) == (409, "AGENT_OFFLINE")

    desk = house.stream("GET", "/api/agent/events", headers=fu.headers)
    await desk.hear("queue_snapshot")
    asked = (await ke.post(path, **wish)).json()["data"]
    assert asked["status"] == "pending"
    offered = await desk.hear("transfer_request")
    assert offered["session_name"] == "s-1"
    (request,) = (await fu.get("/api/transfer-requests/pending")).json()["data"]["requests"]
    assert request["request_id"] == asked["request_id"] == offered["request_id"]
    assert request["session_name"] == "s-1"
    assert (request["from_agent_name"], request["note"]) == ("小可", "会英文")
    assert (await ke.get("/api/transfer-requests/pending")).json()["data"]["total"] == 0

    respond = f"/api/transfer-requests/{request['request_id']}/respond"
    assert (await ke.post(respond, accept=True)).status_code == 404
    moved = (await fu.post(respond, accept=True)).json()["data"]
    assert moved["status"] == "manual_live"
    assert moved["assigned_agent"]["name"] == "小福"
    assert failure((await fu.post(respond, accept=True)).json()) == "NOT_FOUND"
    trail = (await fu.get("/api/sessions/s-1")).json()["data"]["audit_trail"]
    assert (trail[-1]["action"], trail[-1]["reason"]) == ("Transferred", "语言")
    await desk.leave()


async def test_a_declined_offer_leaves_the_session_where_it_is(house: House) -> None:
    ke, fu = await house.worker("小可"), await house.worker("小福")
    await house.escalate("s-1")
    await ke.take("s-1")
    own = house.stream("GET", "/api/agent/events", headers=ke.headers)
    desk = house.stream("GET", "/api/agent/events", headers=fu.headers)
    await desk.hear("queue_snapshot")
    await own.hear("queue_snapshot")
    path = "/api/sessions/s-1/transfer"
    await ke.post(path, from_agent_id=str(ke.id), to_agent_id=str(fu.id))
    request = await desk.hear("transfer_request")
    respond = f"/api/transfer-requests/{request['request_id']}/respond"
    told = (await fu.post(respond, accept=False)).json()["data"]
    assert (told["status"], told["session_name"]) == ("declined", "s-1")
    await until(lambda: "declined" in [e["outcome"] for e in own.heard("transfer_result")])
    assert (await house.session("s-1"))["assigned_agent"]["name"] == "小可"
    await desk.leave()
    await own.leave()


async def test_only_what_one_is_in_charge_of_is_passed_on(house: House) -> None:
    ke, fu = await house.worker("小可"), await house.worker("小福")
    boss = await house.worker("主管", role="admin")
    desk = house.stream("GET", "/api/agent/events", headers=fu.headers)
    await desk.hear("queue_snapshot")
    path = "/api/sessions/s-1/transfer"
    await house.escalate("s-1")
    wish = {"from_agent_id": str(ke.id), "to_agent_id": str(fu.id)}
    assert failure((await ke.post(path, **wish)).json()) == "INVALID_STATUS"
    await ke.take("s-1")
    assert failure((await fu.post(path, **wish)).json()) == "FORBIDDEN"
    assert failure((await fu.post(path, **wish | {"from_agent_id": str(fu.id)})).json()) == (
        "CHAT_NOT_FOUND"
    )
    assert (await boss.post(path, **wish)).status_code == 200
    assert failure((await ke.post(path, from_agent_id=str(ke.id))).json()) == "INVALID_MESSAGE"
    await desk.leave()


async def test_the_transcript_is_sent_by_hand(house: House) -> None:
    ke = await house.worker()
    session = await house.escalate("s-1")
    told = await ke.post("/api/sessions/s-1/email")
    assert told.json() == {"success": True, "data": {"status": "sent"}}
    assert [str(id) for id in house.mailed] == [session["chat_id"]]
    assert (await house.post("/api/sessions/s-1/email")).status_code == 401


PATHS = [
    ("GET", "/api/sessions"),
    ("GET", "/api/sessions/queue"),
    ("GET", "/api/sessions/stats"),
    ("POST", "/api/sessions/s-1/takeover"),
    ("POST", "/api/sessions/s-1/release"),
    ("POST", "/api/sessions/s-1/transfer"),
    ("POST", "/api/sessions/s-1/email"),
    ("GET", "/api/transfer-requests/pending"),
    ("POST", f"/api/transfer-requests/{NOBODY}/respond"),
    ("GET", "/api/agent/events"),
    ("GET", f"/api/chats/{NOBODY}/copilot"),
    ("GET", f"/api/chats/{NOBODY}/products"),
    ("GET", "/api/config"),
    ("GET", "/api/token/info"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_what_agents_do_takes_an_agents_token(house: House, method: str, path: str) -> None:
    for headers in ({}, house.token("u-1"), {"authorization": "Bearer x"}):
        told = await house.client.request(method, path, headers=headers, json={})
        assert told.status_code == 401, told.text
        assert failure(told.json()) == "UNAUTHORIZED"


async def test_the_settings_and_tokens_are_for_administrators(house: House) -> None:
    for role in ("agent", "supervisor"):
        worker = await house.worker(role=role)
        assert (await worker.get("/api/config")).status_code == 403
        assert (await worker.get("/api/token/info")).status_code == 403
    admin = await house.worker(role="admin")
    assert (await admin.get("/api/config")).json() == {"success": True, "data": {"port": 8000}}
