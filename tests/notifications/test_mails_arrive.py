"""No mail is lost and none is two: servers refuse, connections break, couriers die."""

from collections import Counter
from typing import Any

import anyio
import pytest

from kefu.notifications.courier import CLAIM
from kefu.notifications.smtp import Letter, Smtp
from kefu.notifications.state import ALERT_ATTEMPTS, MAX_ATTEMPTS, Alert, Outcome
from tests.notifications.conftest import LIN, MEI, Mailroom
from tests.notifications.post_office import PostOffice
from tests.until import until

XIAO = "xiaoming@mail.example"
HOURS = 5 * 3600.0  # longer than any pause


class Killed(BaseException):
    """What ends a courier as a kill would: nothing is written after it."""


class Dies:
    """Hands the mail over, and dies before anybody can note it."""

    def __init__(self, smtp: Smtp) -> None:
        self.smtp = smtp

    async def carry(self, letter: Letter) -> Outcome:
        await self.smtp.carry(letter)
        raise Killed


class Breaks:
    """Has a bug."""

    async def carry(self, letter: Letter) -> Outcome:
        raise RuntimeError("a bug")


async def test_a_refusal_for_now_is_tried_again_with_growing_pauses(
    office: PostOffice, mailroom: Mailroom
) -> None:
    office.codes["DATA"] = ["451 later", "451 later"]
    courier = mailroom.courier()
    await mailroom.escalated()
    await mailroom.pass_time(courier, minutes=5)
    assert await mailroom.states() == [("escalated", "pending", 1)]
    await mailroom.pass_time(courier, seconds=50)
    assert await mailroom.states() == [("escalated", "pending", 1)]
    await mailroom.pass_time(courier, seconds=20)
    assert await mailroom.states() == [("escalated", "pending", 2)]
    await mailroom.pass_time(courier, minutes=3)
    assert await mailroom.states() == [("escalated", "pending", 2)]
    await mailroom.pass_time(courier, minutes=2)
    assert await mailroom.states() == [("escalated", "sent", 3)]
    assert len(office.raw) == 1
    assert (courier.sent_count, courier.failed_count) == (1, 0)


async def test_a_refusal_for_good_is_the_end(office: PostOffice, mailroom: Mailroom) -> None:
    office.codes["DATA"] = ["554 no"]
    courier = mailroom.courier()
    await mailroom.escalated()
    await mailroom.pass_time(courier, minutes=5)
    await mailroom.pass_time(courier, seconds=HOURS)
    assert await mailroom.states() == [("escalated", "failed", 1)]
    assert (courier.sent_count, courier.failed_count) == (0, 1)


async def test_attempts_have_an_end(office: PostOffice, mailroom: Mailroom) -> None:
    office.codes["DATA"] = ["451 later"] * 99
    courier = mailroom.courier()
    await mailroom.escalated()
    await courier.post_alert(Alert("nobody", count=1))
    for _ in range(MAX_ATTEMPTS + 3):
        await mailroom.pass_time(courier, seconds=HOURS)
    assert Counter(await mailroom.states()) == Counter(
        [("escalated", "failed", MAX_ATTEMPTS), ("alert", "failed", ALERT_ATTEMPTS)]
    )


async def test_a_mail_in_doubt_is_sent_again_as_it_was(
    office: PostOffice, mailroom: Mailroom
) -> None:
    office.mischief = ["cut after data"]
    chat, courier = await mailroom.escalated(), mailroom.courier()
    await mailroom.pass_time(courier, minutes=5)
    assert await mailroom.states() == [("escalated", "unknown", 1)]
    await chat.say("还在吗")
    await mailroom.pass_time(courier, minutes=2)
    assert await mailroom.states() == [("escalated", "sent", 2)]
    first, second = office.raw
    assert first == second


async def test_a_doubt_that_is_never_cleared_stays_one(
    office: PostOffice, mailroom: Mailroom
) -> None:
    office.mischief = ["cut after data"]
    courier = mailroom.courier()
    await mailroom.escalated()
    await mailroom.pass_time(courier, minutes=5)
    office.codes["DATA"] = ["554 no"]
    await mailroom.pass_time(courier, seconds=HOURS)
    assert await mailroom.states() == [("escalated", "unknown", 2)]
    await mailroom.pass_time(courier, seconds=HOURS)
    assert await mailroom.states() == [("escalated", "unknown", 2)]


async def test_a_courier_that_dies_leaves_its_mail_to_others_under_the_same_name(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat = await mailroom.escalated()
    await chat.leave_email(mailroom.clock.now(), XIAO)
    with pytest.raises(Killed):
        await mailroom.courier(Dies(Smtp(mailroom.options))).look()
    other = mailroom.courier()
    await mailroom.pass_time(other, seconds=CLAIM.total_seconds() - 1)
    assert len(office.raw) == 1
    await mailroom.pass_time(other, seconds=1)
    assert await mailroom.states() == [("escalated", "sent", 2)]
    first, second = office.mails()
    assert first["Message-ID"] == second["Message-ID"]
    assert office.raw[0] == office.raw[1]


async def test_a_mail_that_a_dead_courier_may_have_sent_is_in_doubt(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat = await mailroom.escalated()
    await chat.leave_email(mailroom.clock.now(), XIAO)
    with pytest.raises(Killed):
        await mailroom.courier(Dies(Smtp(mailroom.options))).look()
    office.codes["DATA"] = ["451 later", "554 no"]
    other = mailroom.courier()
    await mailroom.pass_time(other, seconds=CLAIM.total_seconds())
    assert await mailroom.states() == [("escalated", "unknown", 2)]
    await mailroom.pass_time(other, seconds=HOURS)
    assert await mailroom.states() == [("escalated", "unknown", 3)]


async def test_a_mail_that_kills_every_courier_is_given_up(mailroom: Mailroom) -> None:
    chat = await mailroom.escalated()
    await chat.leave_email(mailroom.clock.now(), XIAO)
    doomed = mailroom.courier(Dies(Smtp(mailroom.options)))
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(Killed):
            await doomed.look()
        mailroom.clock.advance(CLAIM.total_seconds())
    await doomed.look()
    assert await mailroom.states() == [("escalated", "unknown", MAX_ATTEMPTS)]


async def test_a_bug_costs_an_attempt_and_not_the_courier(mailroom: Mailroom) -> None:
    await mailroom.escalated()
    await mailroom.pass_time(mailroom.courier(Breaks()), minutes=5)
    assert await mailroom.states() == [("escalated", "pending", 1)]
    await mailroom.pass_time(mailroom.courier(), minutes=2)
    assert await mailroom.states() == [("escalated", "sent", 2)]


async def test_whoever_has_the_mail_does_not_get_it_again(
    office: PostOffice, mailroom: Mailroom
) -> None:
    office.codes[MEI] = ["451 grey"]
    courier = mailroom.courier(email_recipients=(LIN, MEI))
    await mailroom.escalated()
    await mailroom.pass_time(courier, minutes=5)
    assert await mailroom.states() == [("escalated", "pending", 1)]
    await mailroom.pass_time(courier, minutes=2)
    assert [envelope.rcpt_tos for envelope in office.envelopes] == [[LIN], [MEI]]
    assert await mailroom.states() == [("escalated", "sent", 2)]
    assert len({mail["Message-ID"] for mail in office.mails()}) == 1


async def test_a_server_that_is_away_costs_one_mail_an_attempt(
    office: PostOffice, mailroom: Mailroom
) -> None:
    for _ in range(5):
        await mailroom.escalated()
    mailroom.clock.advance(400)
    away = mailroom.courier(smtp_port=1)
    assert not await away.look()
    assert sorted(await mailroom.states()) == [
        *[("escalated", "pending", 0)] * 4,
        ("escalated", "pending", 1),
    ]
    assert await mailroom.courier().look()
    assert len(office.raw) == 4


async def test_several_instances_send_each_mail_once(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chats = [await mailroom.escalated() for _ in range(30)]
    for chat in chats[:20]:
        await chat.leave_email(mailroom.clock.now(), XIAO)
    couriers = [mailroom.courier() for _ in range(4)]

    async def work(courier: Any) -> None:
        for _ in range(3):
            await courier.look()

    async with anyio.create_task_group() as tasks:
        for courier in couriers:
            tasks.start_soon(work, courier)
    mailroom.clock.advance(300)
    async with anyio.create_task_group() as tasks:
        for courier in couriers:
            tasks.start_soon(work, courier)
    arrived = Counter(mail["Message-ID"] for mail in office.mails())
    assert arrived == {f"<{chat.id}.1@shop.example>": 1 for chat in chats}
    assert sum(courier.sent_count for courier in couriers) == 30


async def test_a_running_courier_hears_that_there_is_something(
    office: PostOffice, mailroom: Mailroom
) -> None:
    chat, courier = await mailroom.chat(), mailroom.courier()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(courier.run)
        await courier.request(chat.id)
        await until(lambda: len(office.raw) == 1)
        await chat.leave_email(mailroom.clock.now(), XIAO)
        courier.look_now()
        await until(lambda: len(office.raw) == 2)
        tasks.cancel_scope.cancel()


async def test_a_courier_outlives_its_stores_and_its_own_bugs(
    mailroom: Mailroom, caplog: pytest.LogCaptureFixture
) -> None:
    mailroom.pool.terminate()
    courier = mailroom.courier()

    def has_logged(event: str) -> bool:
        return event in [record.message for record in caplog.records]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(courier.run)
        await until(lambda: has_logged("mails_unread"))
        mailroom.clock.now = None  # type: ignore[assignment,method-assign]
        courier.look_now()
        await until(lambda: has_logged("courier_failed"))
        tasks.cancel_scope.cancel()
