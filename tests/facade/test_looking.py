"""Lists of sessions, the queue and figures: one order everywhere, and nothing left out."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kefu.bot.health import BotHealth, TokenCache
from kefu.errors import Problem
from kefu.gateway.facade.about import shown_settings
from kefu.gateway.facade.reading import read_instant
from kefu.gateway.health import Readiness
from kefu.secret import Secret
from kefu.settings import Settings
from tests.facade.house import House, Worker
from tests.facade.test_asking import failure


async def listed(worker: Worker, **params: Any) -> list[str]:
    """The names of the sessions of a page, in its order."""
    told = await worker.get("/api/sessions", **params)
    assert told.status_code == 200, told.text
    return [session["session_name"] for session in told.json()["data"]["sessions"]]


async def queue(worker: Worker) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await worker.get("/api/sessions/queue")).json()["data"][
        "queue"
    ]
    return entries


async def settle(house: House, worker: Worker) -> None:
    """One session in each state, made in this order: closed, bot, live, waiting, vip."""
    await house.ask("closed", "你好")
    await house.end("closed")
    house.clock.advance(10)
    await house.ask("bot", "我的订单呢")
    house.clock.advance(10)
    await house.escalate("live")
    await worker.take("live")
    house.clock.advance(10)
    await house.escalate("waiting", "退款")
    house.clock.advance(10)
    await house.post("/api/chat", house.token("vip", vip=True, name="王小明"), message="在吗")
    house.clock.advance(10)


async def test_a_list_holds_every_open_session_once_the_waiting_first(house: House) -> None:
    ke = await house.worker()
    await settle(house, ke)
    assert await listed(ke) == ["vip", "waiting", "live", "bot"]
    told = (await ke.get("/api/sessions", status="all")).json()["data"]
    assert told["total"] == 5
    shown = {session["session_name"]: session for session in told["sessions"]}
    assert [shown[name]["status"] for name in ("vip", "live", "bot", "closed")] == [
        "pending_manual",
        "manual_live",
        "bot_active",
        "closed",
    ]
    assert shown["vip"]["priority"] == {
        "level": "urgent",
        "is_vip": True,
        "wait_time_seconds": 10,
        "is_timeout": False,
    }
    assert shown["waiting"]["priority"]["wait_time_seconds"] == 20
    assert shown["live"]["assigned_agent"]["id"] == str(ke.id)
    assert shown["bot"]["last_message"] == "您好，有什么可以帮您？"
    assert shown["bot"]["history"] == []
    assert shown["bot"]["updated_at"] >= shown["bot"]["created_at"]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"status": "bot_active"}, ["bot"]),
        ({"status": "pending_manual"}, ["vip", "waiting"]),
        ({"status": "manual_live"}, ["live"]),
        ({"status": "closed"}, ["closed"]),
        ({"status": "all"}, ["vip", "waiting", "live", "bot", "closed"]),
        ({"agent": "all", "status": "manual_live"}, ["live"]),
        ({"agent": "mine"}, ["live"]),
        ({"agent": "unassigned"}, ["vip", "waiting", "bot"]),
        ({"agent": "00000000-0000-0000-0000-000000000000"}, []),
        ({"customer_type": "vip"}, ["vip"]),
        ({"customer_type": "new", "status": "bot_active"}, ["bot"]),
        ({"customer_type": "old"}, []),
        ({"keyword": "小明"}, ["vip"]),
        ({"keyword": "订单"}, ["bot"]),
        ({"keyword": "WAIT"}, ["waiting"]),
        ({"keyword": "%"}, []),
        ({"sort": "newest"}, ["vip", "waiting", "live", "bot"]),
        ({"sort": "newest", "status": "all"}, ["vip", "waiting", "live", "bot", "closed"]),
        ({"sort": "oldest", "status": "all"}, ["closed", "bot", "live", "waiting", "vip"]),
        ({"sort": "vip"}, ["vip", "waiting", "live", "bot"]),
        ({"sort": "vip", "status": "closed"}, ["closed"]),
        ({"sort": "waitTime", "status": "closed"}, ["closed"]),
        ({"sort": "waitTime"}, ["waiting", "vip", "live", "bot"]),
        ({"sort": "waitTime", "status": "pending_manual"}, ["waiting", "vip"]),
        ({"limit": "2"}, ["vip", "waiting"]),
        ({"limit": "2", "offset": "1"}, ["waiting", "live"]),
        ({"offset": "5"}, []),
    ],
)
async def test_a_list_is_narrowed_and_sorted(
    house: House, params: dict[str, str], names: list[str]
) -> None:
    ke = await house.worker()
    await settle(house, ke)
    assert await listed(ke, **params) == names
    total = (await ke.get("/api/sessions", **params)).json()["data"]["total"]
    counts = {name: value for name, value in params.items() if name not in ("limit", "offset")}
    assert total == len(await listed(ke, **counts))


async def test_a_list_is_narrowed_by_when_sessions_began(house: House) -> None:
    ke = await house.worker()
    await house.ask("s-1", "?")
    house.clock.advance(100)
    between = house.clock.now()
    house.clock.advance(100)
    await house.ask("s-2", "?")
    for at in (
        between.isoformat(),
        f"{between.timestamp()}",
        f"{between.timestamp() * 1000:.0f}",
        between.isoformat().replace("+00:00", ""),
        between.isoformat().replace("+00:00", "Z"),
    ):
        assert await listed(ke, time_start=at) == ["s-2"]
        assert await listed(ke, time_end=at) == ["s-1"]


async def test_a_customer_who_comes_back_is_listed_once_and_known(house: House) -> None:
    ke = await house.worker()
    await house.ask("s-1", "一")
    await house.end("s-1")
    await house.ask("s-1", "二")
    assert await listed(ke) == ["s-1"]
    assert await listed(ke, customer_type="old") == ["s-1"]
    assert await listed(ke, status="closed") == []
    await house.end("s-1")
    assert await listed(ke) == []
    last = (await house.session("s-1"))["chat_id"]
    for status in ("closed", "all"):
        (shown,) = (await ke.get("/api/sessions", status=status)).json()["data"]["sessions"]
        assert (shown["session_name"], shown["chat_id"]) == ("s-1", last)
        assert (await ke.get("/api/sessions", status=status)).json()["data"]["total"] == 1


@pytest.mark.parametrize(
    "params",
    [
        {"status": "open"},
        {"customer_type": "x"},
        {"sort": "x"},
        {"agent": "nobody"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"offset": "-1"},
        {"time_start": "yesterday"},
        {"time_end": "9" * 30},
        {"time_start": "2026-13-01"},
        {"keyword": "x" * 101},
        {"keyword": "\0"},
    ],
)
async def test_what_cannot_be_asked_names_the_field(house: House, params: dict[str, str]) -> None:
    ke = await house.worker()
    refused = await ke.get("/api/sessions", **params)
    assert (refused.status_code, failure(refused.json())) == (400, "INVALID_MESSAGE")
    assert set(refused.json()["fields"]) == set(params)


async def test_the_queue_is_in_the_one_order(house: House) -> None:
    ke = await house.worker()
    await house.escalate("late")
    house.clock.advance(301)
    await house.escalate("new")
    house.clock.advance(1)
    await house.post("/api/manual/messages", session_name="x", role="user", content="?")
    await house.ask("urgent", "我要投诉")
    house.clock.advance(1)
    await house.escalate("vip", headers=house.token("vip", vip=True))
    entries = await queue(ke)
    names = [entry["session_name"] for entry in entries]
    assert names[:2] == ["vip", "late"]
    assert set(names[2:]) == {"new", "urgent"}
    assert [entry["position"] for entry in entries] == [1, 2, 3, 4]
    assert entries[0]["priority_level"] == "urgent"
    assert (entries[1]["priority_level"], entries[1]["is_timeout"]) == ("urgent", True)
    assert entries[1]["wait_time_seconds"] == 303
    told = (await ke.get("/api/sessions/queue")).json()["data"]
    assert (told["total_count"], told["vip_count"], told["max_wait_time"]) == (4, 1, 303)
    assert told["avg_wait_time"] == pytest.approx(sum(e["wait_time_seconds"] for e in entries) / 4)
    assert await listed(ke, status="pending_manual") == names
    assert await listed(ke, sort="vip") == names


async def test_an_empty_queue_has_no_waiting_times(house: House) -> None:
    ke = await house.worker()
    assert (await ke.get("/api/sessions/queue")).json()["data"] == {
        "queue": [],
        "total_count": 0,
        "vip_count": 0,
        "avg_wait_time": 0.0,
        "max_wait_time": 0,
    }


async def test_figures_count_what_there_is(house: House) -> None:
    ke = await house.worker("小可")
    desk = house.stream("GET", "/api/agent/events", headers=ke.headers)
    await desk.hear("queue_snapshot")
    await settle(house, ke)
    house.clock.advance(20)
    said = {"session_name": "live", "role": "agent", "content": "您好"}
    await ke.post("/api/manual/messages", **said)
    house.clock.advance(40)
    await ke.release("live")
    assert house.bot is not None
    house.bot.outcome = "unknown"
    await house.ask("bot", "?")
    await ke.take("bot")
    told = (await ke.get("/api/sessions/stats")).json()["data"]
    assert told["total"] == 5
    assert told["by_status"] == {
        "bot_active": 1,
        "pending_manual": 2,
        "manual_live": 1,
        "closed": 1,
    }
    assert told["waiting"]["count"] == 2
    assert told["waiting"]["vip_count"] == 1
    assert told["waiting"]["max_wait_time"] == 80
    assert (told["active_agents"], told["agents_by_status"]) == (1, {"online": 1})
    assert told["by_reason"] == {"manual": 2, "vip": 1}
    assert told["ai_quality"] == {
        "answers": 3,
        "answered": 2,
        "unknown": 1,
        "stood_in": 0,
        "failed": 0,
        "sessions": 2,
        "handed_over": 1,
        "answered_rate": pytest.approx(2 / 3, abs=1e-3),
        "handover_rate": 0.5,
    }
    (own,) = told["agent_efficiency"]
    assert own["agent_id"] == str(ke.id)
    assert (own["name"], own["active"], own["taken"]) == ("小可", 1, 2)
    assert own["avg_wait_time"] == 0.0
    assert own["avg_first_response_time"] == 50.0
    assert own["avg_duration"] == 90.0
    await desk.leave()


async def test_figures_are_of_a_while_that_is_asked_for(house: House) -> None:
    ke = await house.worker()
    await house.ask("s-1", "你好")
    await house.end("s-1")
    house.clock.advance(3 * 3600)
    fresh = await house.worker()
    recent = (await fresh.get("/api/sessions/stats", hours=1)).json()["data"]
    assert (recent["total"], recent["ai_quality"]["answers"]) == (0, 0)
    assert recent["ai_quality"]["answered_rate"] is None
    whole = (await fresh.get("/api/sessions/stats")).json()["data"]
    assert (whole["total"], whole["ai_quality"]["answers"]) == (1, 1)
    assert (await fresh.get("/api/sessions/stats", hours=0)).status_code == 400
    assert ke.token


async def test_the_copilot_helps_whoever_is_in_charge(house: House) -> None:
    ke, fu = await house.worker(), await house.worker()
    boss = await house.worker(role="supervisor")
    await house.ask("s-1", "你好")
    session = await house.escalate("s-1", "急")
    path = f"/api/chats/{session['chat_id']}/copilot"
    assert (await ke.get(path)).status_code == 404, "nobody is in charge"
    await ke.take("s-1")
    await house.post("/api/manual/messages", session_name="s-1", role="user", content="退款")
    await house.post("/api/manual/messages", session_name="s-1", role="user", content="多久到账")
    told = (await ke.get(path, locale="en")).json()["data"]
    assert told["summary"] == "问退款"
    assert told["suggestions"][0]["text"] == "三个工作日内。"
    assert ("退款\n多久到账", ["你好", "您好，有什么可以帮您？"], None) in house.copilot.asked
    assert (4, "en", "manual") in house.copilot.asked
    assert (await fu.get(path)).status_code == 404
    assert (await boss.get(path)).status_code == 200
    assert (await ke.get("/api/chats/x/copilot")).status_code == 404


# --- about ----------------------------------------------------------------------------------------


async def test_the_bot_introduces_itself(house: House) -> None:
    assert (await house.client.get("/api/bot/info")).json() == {
        "success": True,
        "bot": {
            "name": "小福",
            "description": "店铺助手",
            "icon_url": "https://shop.example/bot.png",
            "welcome": "您好！",
        },
    }


async def test_health_says_how_the_provider_is(house: House) -> None:
    for path in ("/api/health", "/health"):
        told = await house.client.get(path)
        body = told.json()
        assert told.status_code == 200
        assert (body["status"], body["provider"], body["provider_state"]) == (
            "healthy",
            "knowledge",
            "ready",
        )
        assert body["session_isolation"] is True
        assert "coze_connected" not in body
    house.condition.health = BotHealth("coze", True, "open", False)
    body = (await house.client.get("/api/health")).json()
    assert (body["provider"], body["provider_state"]) == ("coze", "failing")
    assert body["coze_connected"] is False
    house.condition.health = BotHealth("coze", True, "closed", True)
    assert (await house.client.get("/api/health")).json()["coze_connected"] is True


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [("degraded", "degraded", 200), ("unready", "unhealthy", 503)],
)
async def test_health_says_when_kefu_itself_limps(
    house: House, monkeypatch: pytest.MonkeyPatch, status: Any, word: str, code: int
) -> None:
    async def look(_self: object) -> Readiness:
        return Readiness(status, {"redis": "gone"})

    monkeypatch.setattr("kefu.gateway.health.Health.look", look)
    told = await house.client.get("/api/health")
    assert (told.status_code, told.json()["status"]) == (code, word)
    assert "gone" not in told.text


async def test_of_tokens_only_the_number_is_told(house: House) -> None:
    admin = await house.worker(role="admin")
    told = await admin.get("/api/token/info")
    assert told.json()["data"] == {"needs_tokens": False}
    house.condition.cache = TokenCache(3, 1000)
    told = await admin.get("/api/token/info")
    assert told.json()["data"] == {"needs_tokens": True, "cached": 3, "capacity": 1000}


def test_no_secret_is_among_the_settings_shown() -> None:
    given_settings = Settings(jwt_secret=Secret("x" * 40))
    given_settings = replace(
        given_settings, bot=replace(given_settings.bot, openai_api_key=Secret("sk-very-secret"))
    )
    shown = shown_settings(given_settings)
    assert shown["port"] == 8000
    assert shown["jwt_secret"] == shown["openai_api_key"] == "***"
    assert "very-secret" not in repr(shown)


class _Query:
    def __init__(self, text: str) -> None:
        self.query_params = {"at": text}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=50), st.from_regex(r"[0-9T:.+ Z-]{1,40}", fullmatch=True)))
def test_no_text_is_an_instant_that_breaks(text: str) -> None:
    try:
        at = read_instant(_Query(text), "at")  # type: ignore[arg-type]
    except Problem:
        return
    assert at is None or at.tzinfo is not None
