"""Which mails chats make due, when, and what they say: real PostgreSQL, a real mail server."""

from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import anyio
import pytest

from kefu.errors import Problem
from kefu.notifications.courier import KEPT, PATIENCE, SWEEP_EVERY_S, SWEPT
from kefu.notifications.state import Alert
from kefu.notifications.texts import WORDS
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from tests.notifications.chats import end
from tests.notifications.conftest import LIN, Mailroom
from tests.notifications.post_office import PostOffice

XIAO = "xiaoming@mail.example"
PATIENCE_S = PATIENCE.total_seconds()


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body(preferencelist=(kind,))
    assert body is not None
    text: str = body.get_content()
    return text


async def test_an_escalation_waits_five_minutes_for_an_address(
    office: PostOffice, mailroom: Mailroom
) -> None:
    await mailroom.escalated()
    courier = mailroom.courier()
    await mailroom.pass_time(courier, seconds=PATIENCE_S - 1)
    assert office.mails() == []
    await mailroom.pass_time(courier, seconds=1)
    (mail,) = office.mails()
    assert mail["Reply-To"] is None
    assert WORDS["zh-CN"].no_address in part(mail, "plain")
    await mailroom.pass_time(courier, days=2)
    assert len(office.raw) == 1
    assert await mailroom.states() == [("escalated", "sent", 1)]


async def test_an_address_that_comes_sends_the_mail_at_once(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat, courier = await mailroom.escalated(), mailroom.courier()
    await mailroom.pass_time(courier, minutes=2)
    await chat.leave_email(mailroom.clock.now(), XIAO)
    await courier.look()
    (mail,) = office.mails()
    assert mail["Reply-To"] == XIAO
    await mailroom.pass_time(courier, minutes=10)
    assert len(office.raw) == 1


async def test_an_address_left_earlier_counts(office: PostOffice, mailroom: Mailroom) -> None:
    chat = await mailroom.chat(status="waiting")
    await chat.leave_email(mailroom.clock.now(), XIAO)
    courier = mailroom.courier()
    await courier.look()
    await chat.ask_after_hours(mailroom.clock.now())
    await courier.look()
    assert [mail["Reply-To"] for mail in office.mails()] == [XIAO, XIAO]
    assert await mailroom.states() == [("escalated", "sent", 1)] * 2


async def test_an_address_left_while_waiting_is_a_mail(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat = await mailroom.chat(status="waiting", name="Ann", locale="en")
    await chat.say("hello?")
    await chat.leave_email(mailroom.clock.now(), XIAO)
    await mailroom.courier().look()
    (mail,) = office.mails()
    assert mail["Subject"] == "[In the queue] Ann left an e-mail address"
    assert "hello?" in part(mail, "plain")


async def test_an_address_that_comes_too_late_follows_its_mail(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat, courier = await mailroom.escalated(), mailroom.courier()
    await mailroom.pass_time(courier, minutes=6)
    await chat.leave_email(mailroom.clock.now(), XIAO)
    await mailroom.pass_time(courier, minutes=6)
    first, second = office.mails()
    assert (first["Reply-To"], second["Reply-To"]) == (None, XIAO)
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
    assert "我要转人工" not in part(second, "plain") + part(second, "html")
    assert await mailroom.states() == [("escalated", "sent", 1), ("address", "sent", 1)]


async def test_the_last_address_counts_and_a_later_one_follows(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat, courier = await mailroom.escalated(), mailroom.courier()
    await chat.leave_email(mailroom.clock.now(), "typo@mail.example")
    await chat.leave_email(mailroom.clock.now(), XIAO)
    await courier.look()
    await chat.leave_email(mailroom.clock.now(), "work@mail.example")
    await courier.look()
    assert [mail["Reply-To"] for mail in office.mails()] == [XIAO, "work@mail.example"]


async def test_a_mail_says_what_the_team_must_know(office: PostOffice, mailroom: Mailroom) -> None:
    chat = await mailroom.chat(is_vip=True)
    await chat.say("订单 88 到哪了？\n急")
    await chat.say("抱歉，我不清楚。", by="ai")
    await chat.say("您好", by="agent", name="小可")
    await chat.ask_after_hours(
        mailroom.clock.now(), details=["人工", "投诉"], next_start="2026-11-22T01:00:00+00:00"
    )
    await chat.leave_email(mailroom.clock.now(), XIAO)
    await mailroom.courier().look()
    (mail,) = office.mails()
    assert mail["Subject"] == "【非工作时间】顾客 王小明 请求人工服务"
    assert (mail["From"], mail["To"]) == ("小店 <kefu@shop.example>", LIN)
    assert mail["Message-ID"] == f"<{chat.id}.1@shop.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == mailroom.clock.now()
    assert part(mail, "plain").splitlines() == [
        "顾客在非人工服务时间请求人工服务。",
        "直接回复本邮件即可联系顾客。",
        "",
        "顾客：王小明 (VIP)",
        f"邮箱：{XIAO}",
        "时间：2026-11-21 17:00",
        "原因：顾客的话中含有关键词",
        "优先级：高",
        "详情：人工, 投诉",
        "人工上线时间：2026-11-22 09:00",
        f"会话编号：{chat.id}",
        "",
        "-- 聊天记录 --",
        "[2026-11-21 17:00] 顾客：订单 88 到哪了？",
        "    急",
        "[2026-11-21 17:00] 智能助手：抱歉，我不清楚。",
        "[2026-11-21 17:00] 客服 小可：您好",
    ]
    html = part(mail, "html")
    assert "订单 88 到哪了？<br>急" in html
    assert office.raw[0].isascii()


async def test_a_profiles_address_is_there_to_reply_to(
    office: PostOffice, mailroom: Mailroom
) -> None:
    await mailroom.escalated(email="known@mail.example")
    await mailroom.pass_time(mailroom.courier(), minutes=5)
    assert office.mails()[0]["Reply-To"] == "known@mail.example"


@pytest.mark.parametrize(
    ("chosen", "locale", "subject"),
    [
        (None, "en-GB", "[After hours] Ann asked for a person"),
        (None, "zh-TW", "【非服務時間】顧客 Ann 請求真人服務"),
        ("zh-CN", "en-GB", "【非工作时间】顾客 Ann 请求人工服务"),
    ],
)
async def test_a_mail_is_in_the_shops_language_or_the_customers(
    office: PostOffice, mailroom: Mailroom, chosen: Any, locale: str, subject: str
) -> None:
    await mailroom.escalated(name="Ann", locale=locale)
    await mailroom.pass_time(mailroom.courier(mail_locale=chosen), minutes=5)
    assert office.mails()[0]["Subject"] == subject


EVIL = (
    "Evil\r\nBcc: all@world.example",
    "Evil\nSubject: other",
    "=?utf-8?q?Evil=0D=0ABcc:_all@world.example?=",
    "Evil\u2028Bcc: all@world.example",
    'Evil" <all@world.example>, "x',
    "\x00\x1b[31m\u202e{name}",
    "名" * 500,
)


@pytest.mark.parametrize("evil", EVIL)
async def test_nothing_people_write_becomes_a_header(
    office: PostOffice, mailroom: Mailroom, evil: str
) -> None:
    text = evil.replace("\x00", "")
    chat = await mailroom.chat(name=text, email=text)
    await chat.say(text)
    await chat.ask_after_hours(mailroom.clock.now(), reason=text, severity=text, details=text)
    await chat.leave_email(mailroom.clock.now(), f"a@b.cn{text}")
    await mailroom.courier(email_from_name=evil).look()
    (mail,), (envelope,) = office.mails(), office.envelopes
    assert sorted(mail.keys()) == [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ]
    assert envelope.rcpt_tos == [LIN]
    assert [each.addr_spec for each in mail["From"].addresses] == ["kefu@shop.example"]
    assert "\n" not in mail["Subject"]
    assert len(list(mail.walk())) == 3


async def test_a_body_of_an_odd_shape_is_shown_as_far_as_it_goes(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat = await mailroom.chat(name=None)
    odd: dict[str, Any] = {"severity": 7, "details": {"a": 1}, "next_start": "soon"}
    await chat.say("一", by="system")
    await chat.say("二", by="agent")
    await chat.ask_after_hours(mailroom.clock.now(), reason="moon", **odd)
    await mailroom.pass_time(mailroom.courier(), minutes=5)
    text = part(office.mails()[0], "plain")
    assert "原因：moon" in text
    assert "系统：一" in text
    assert "客服：二" in text
    assert "未署名顾客" in text


async def test_without_a_mail_server_nothing_is_queued_and_nothing_fails(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat = await mailroom.escalated()
    off = mailroom.courier(smtp_host=None)
    assert off.reason == "No mail is sent: SMTP_HOST is not set."
    with anyio.fail_after(5):
        await off.run()
    await off.post_alert(Alert("nobody", count=1))
    with pytest.raises(Problem) as caught:
        await off.request(chat.id)
    assert caught.value.code is ErrorCode.INVALID_STATUS
    assert await mailroom.states() == []

    assert mailroom.courier(email_from=None).reason == "No mail is sent: EMAIL_FROM is not set."
    assert mailroom.courier(email_from=None, smtp_username="a@b.cn").reason is None
    nobody = mailroom.courier(email_recipients=())
    assert nobody.reason == "No mail is sent: EMAIL_RECIPIENTS is not set."

    await mailroom.pass_time(mailroom.courier(), minutes=6)
    assert len(office.raw) == 1


async def test_what_is_older_than_some_days_stays_unsent(
    office: PostOffice, mailroom: Mailroom
) -> None:
    await mailroom.escalated()
    mailroom.clock.advance(SWEPT.total_seconds() + 1)
    await mailroom.courier().look()
    assert office.raw == []


async def test_what_comes_to_light_late_is_swept_up(office: PostOffice, mailroom: Mailroom) -> None:
    chat, courier = await mailroom.chat(), mailroom.courier()
    await courier.look()
    await chat.ask_after_hours(mailroom.clock.now() - timedelta(hours=2))
    await courier.look()
    assert office.raw == []
    await mailroom.pass_time(courier, seconds=SWEEP_EVERY_S)
    assert len(office.raw) == 1


async def test_old_mails_are_forgotten_but_never_sent_again(
    office: PostOffice, mailroom: Mailroom
) -> None:
    await mailroom.escalated()
    courier = mailroom.courier()
    await mailroom.pass_time(courier, minutes=5)
    await mailroom.pass_time(courier, seconds=KEPT.total_seconds() + 1)
    assert await mailroom.states() == []
    await courier.look()
    assert len(office.raw) == 1


async def test_a_chat_that_was_erased_sends_nothing(office: PostOffice, mailroom: Mailroom) -> None:
    chat, courier = await mailroom.escalated(), mailroom.courier()
    await courier.look()
    await end(mailroom.pool, chat.id)
    await mailroom.pass_time(courier, minutes=5)
    assert office.raw == []
    assert await mailroom.states() == [("escalated", "failed", 1)]


async def test_a_mail_is_asked_for_by_hand_once_a_minute(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat, courier = await mailroom.chat(), mailroom.courier()
    await chat.say("在吗")
    mail_id = await courier.request(chat.id)
    mailroom.clock.advance(20)
    with pytest.raises(Problem) as caught:
        await courier.request(chat.id)
    assert (caught.value.code, caught.value.retry_after_s) == (ErrorCode.RATE_LIMITED, 40.0)
    await (await mailroom.chat()).say("另一个")
    await mailroom.pass_time(courier, seconds=40)
    await courier.request(chat.id)
    await courier.look()
    assert [mail["Subject"] for mail in office.mails()] == ["顾客 王小明 的聊天记录"] * 2
    assert len({mail["Message-ID"] for mail in office.mails()}) == 2

    newest, oldest = await courier.of_chat(chat.id)
    assert (oldest.id, oldest.kind, oldest.state) == (mail_id, "requested", "sent")
    assert newest.created_at - oldest.created_at == timedelta(minutes=1)


async def test_many_who_ask_at_once_get_one_mail(mailroom: Mailroom) -> None:
    chat = await mailroom.chat()
    refused: list[ErrorCode] = []

    async def ask(seed: int) -> None:
        try:
            await mailroom.courier().request(chat.id)
        except Problem as problem:
            refused.append(problem.code)

    async with anyio.create_task_group() as tasks:
        for seed in range(6):
            tasks.start_soon(ask, seed)
    assert refused == [ErrorCode.RATE_LIMITED] * 5


async def test_a_chat_nobody_knows_is_not_mailed(mailroom: Mailroom) -> None:
    with pytest.raises(Problem) as caught:
        await mailroom.courier().request(UUID(int=9))
    assert caught.value.code is ErrorCode.CHAT_NOT_FOUND


async def test_an_alert_is_a_mail(office: PostOffice, mailroom: Mailroom) -> None:
    courier = mailroom.courier(mail_locale="en")
    await courier.post_alert(Alert("waiting", count=3, value=700, limit=600))
    await courier.look()
    (mail,) = office.mails()
    assert mail["Subject"] == "[Alert] 3 waiting, the longest for 12 min (limit 10 min)."
    assert await mailroom.states() == [("alert", "sent", 1)]


async def test_a_store_that_is_away_is_said_so(mailroom: Mailroom) -> None:
    mailroom.pool.terminate()
    courier = mailroom.courier()
    for asked in (courier.look(), courier.request(UUID(int=9)), courier.of_chat(UUID(int=9))):
        with pytest.raises(StoreUnavailable):
            await asked
