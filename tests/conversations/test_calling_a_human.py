"""When a human comes in, when none can, and what becomes of whoever waits in vain."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from kefu.bot.messages import Outcome
from kefu.conversations import messages
from kefu.conversations.escalation import Rules
from kefu.shifts.messages import Duty
from tests.conversations.cast import after, opening
from tests.fakes.shop import Shop, on_stage, settled

TOMORROW = datetime(2026, 11, 22, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
SHOPS = Rules(keywords=("转人工", "human"), failure_words=("不清楚",), failure_threshold=3)


def said(shop: Shop) -> list[str]:
    return [row.sender_type for row in shop.storage.messages_by_place.values()]


async def kinds(shop: Shop) -> list[str]:
    return [row.kind for row in shop.storage.events_by_place.values()]


def called(shop: Shop) -> list[tuple[str | None, object]]:
    """Why humans were called: reason and what else is kept of it."""
    rows = shop.storage.events_by_place.values()
    return [
        (row.reason, json.loads(row.body) if row.body else None)
        for row in rows
        if row.kind in ("HumanCalled", "AskedAfterHours")
    ]


@on_stage
async def test_a_keyword_brings_a_human_and_the_bot_is_not_asked(shop: Shop) -> None:
    shop.is_bot_ready, shop.rules = True, SHOPS
    wang = shop.customer()
    wang.say("我要转人工！")
    await settled(2)
    assert (await wang.look()).status == "waiting"
    assert called(shop) == [("keyword", {"severity": "high", "details": ["转人工"]})]
    assert shop.bot.asked == []
    assert said(shop) == ["customer", "system"]
    assert wang.line.tags.count("message_ack") == 1


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        *(("Human please", True), ("a human", True), ("humanity", False), ("转 人 工", False)),
        *(("HUMAN!", True), ("superhuman", False), ("找human", True), ("人工", False)),
    ],
)
def test_words_of_letters_are_found_only_whole(text: str, is_found: bool) -> None:
    assert (SHOPS.before_answer(after(opening()), text) is not None) == is_found


@on_stage
async def test_three_failures_in_a_row_bring_a_human_and_a_good_answer_starts_anew(
    shop: Shop,
) -> None:
    shop.is_bot_ready, shop.rules = True, SHOPS
    wang = shop.customer()
    outcomes: list[Outcome] = ["unknown", "failed", "answered", "failed", "stood_in", "unknown"]
    for number, outcome in enumerate(outcomes):
        assert number == 0 or (await wang.look()).status == "bot", number
        shop.bot.outcome = outcome
        wang.say(f"问题{number}")
        await settled(2)
    assert (await wang.look()).status == "waiting"
    assert [reason for reason, _ in called(shop)] == ["fail_loop"]


@on_stage
async def test_an_answer_that_says_it_does_not_know_is_a_failure(shop: Shop) -> None:
    shop.is_bot_ready, shop.rules = True, SHOPS
    shop.bot.pieces = ("这个我", "不清楚")
    wang = shop.customer()
    for number in range(3):
        wang.say(f"问题{number}")
        await settled(2)
    assert (await wang.look()).status == "waiting"


@on_stage
async def test_a_vip_is_brought_to_a_human_once_and_may_choose_the_bot(shop: Shop) -> None:
    shop.is_bot_ready, shop.rules = True, SHOPS
    wang = shop.customer(is_vip=True)
    wang.say("在吗")
    await settled(1)
    assert (await wang.look()).status == "waiting"
    assert called(shop)[0][0] == "vip"
    await wang.ref.ask(messages.ReturnToBot(None, wang.party), within=5)
    wang.say("有货吗")
    await settled(2)
    assert (await wang.look()).status == "bot"
    assert [question.text for question in shop.bot.asked] == ["有货吗"]


@on_stage
async def test_after_hours_the_bot_stays_and_says_when_humans_are_back(shop: Shop) -> None:
    shop.is_bot_ready, shop.rules, shop.duty = True, SHOPS, Duty(False, TOMORROW)
    wang = shop.customer()
    await wang.start()
    assert (await wang.look()).status == "bot"
    (told,) = wang.line.heard("new_message")
    assert told.sender_type == "system"
    assert "2026-11-22 09:00" in told.content
    wang.say("转人工")
    wang.say("有货吗")
    await settled(2)
    assert (await wang.look()).status == "bot"
    assert await kinds(shop) == ["Opened", "AskedAfterHours", "RemindedOfHours", "BotAnswered"]
    assert [question.text for question in shop.bot.asked] == ["有货吗"]


@on_stage
async def test_an_address_left_after_hours_is_noted_and_not_answered_by_the_bot(
    shop: Shop,
) -> None:
    shop.is_bot_ready, shop.rules, shop.duty = True, SHOPS, Duty(False, TOMORROW)
    wang = shop.customer()
    wang.say("a@example.com 是我的邮箱")  # nobody asked for a human: it is the bot's
    await settled(2)
    assert len(shop.bot.asked) == 1
    wang.say("human")
    wang.say("请写到 wang.fang@example.com.cn 谢谢")
    await settled(2)
    left = [row for row in shop.storage.events_by_place.values() if row.kind == "EmailLeft"]
    assert [json.loads(row.body or "")["email"] for row in left] == ["wang.fang@example.com.cn"]
    assert len(shop.bot.asked) == 1


@on_stage
async def test_who_waits_may_leave_an_address(shop: Shop) -> None:
    shop.is_bot_ready, shop.rules = True, SHOPS
    wang = shop.customer()
    wang.say("转人工")
    wang.say("wang@example.com")
    await settled(1)
    assert (await wang.look()).status == "waiting"
    assert "EmailLeft" in await kinds(shop)


@on_stage
async def test_when_nobody_comes_the_bot_is_back_after_ten_minutes(shop: Shop) -> None:
    shop.is_bot_ready, shop.rules = True, SHOPS
    wang = shop.customer()
    wang.say("转人工")
    await settled(595)
    assert (await wang.look()).status == "waiting"
    await settled(10)
    assert (await wang.look()).status == "bot"
    assert "ReturnedToBot" in await kinds(shop)
    assert shop.bot.asked == []


@on_stage
async def test_a_conversation_that_moved_gives_up_the_wait_in_time_as_well(shop: Shop) -> None:
    shop.is_bot_ready, shop.rules = True, SHOPS
    wang = shop.customer()
    wang.say("转人工")
    await settled(300)
    await shop.router.evict(lambda id: id.kind == messages.KIND, lambda *_: None, within=1.0)
    await settled(320)  # the queue wakes it
    assert (await wang.look()).status == "bot"


@on_stage
async def test_who_began_with_humans_waits_on(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    await wang.start()
    await settled(3600)
    assert (await wang.look()).status == "waiting"


@on_stage
async def test_the_chats_of_an_agent_who_is_gone_are_next_in_the_queue(shop: Shop) -> None:
    ke, wang, li = shop.agent(), shop.customer(1), shop.customer(2)
    await ke.connect()
    chat_id = await wang.start()
    assert await ke.accept(chat_id, wang) is None
    await li.start()
    ke.disconnect()
    await settled(150)
    assert (await wang.look()).status == "active", "they may come back"
    await settled(60)
    state = await wang.look()
    assert (state.status, state.queue_position) == ("waiting", 1)
    assert (await li.look()).queue_position == 2
    assert wang.line.heard("new_message")[-1].sender_type == "system"


@on_stage
async def test_they_are_next_though_the_agents_places_could_not_be_read_when_it_was_time(
    shop: Shop,
) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    assert await ke.accept(await wang.start(), wang) is None
    ke.disconnect()
    await settled(150)
    shop.are_agents_moving = True
    await settled(120)
    shop.are_agents_moving = False
    await settled(60)
    assert (await wang.look()).status == "waiting"


@on_stage
async def test_an_agent_who_comes_back_in_time_keeps_the_chats(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    assert await ke.accept(chat_id, wang) is None
    ke.disconnect()
    await settled(150)
    await ke.connect()
    await settled(600)
    assert (await wang.look()).status == "active"


@on_stage
async def test_chats_are_handed_back_though_the_agents_actor_went_down_with_its_instance(
    shop: Shop,
) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    assert await ke.accept(chat_id, wang) is None
    shop.connected.clear()
    await shop.router.evict(lambda id: id.kind == "agent", lambda *_: None, within=1.0)
    await settled(300)
    assert (await wang.look()).status == "waiting"
