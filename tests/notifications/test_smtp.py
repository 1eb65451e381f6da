"""One mail handed to a real SMTP server, however it answers."""

import socket
import ssl
from typing import Any

import pytest
from msgspec import structs

from kefu.notifications.options import MailOptions
from kefu.notifications.smtp import Letter, Smtp
from kefu.notifications.state import Outcome
from kefu.secret import Secret
from tests.notifications.post_office import (
    HOST,
    PASSWORD,
    USER,
    PostOffice,
    client_context,
    post_office,
)

LIN, MEI = "lin@shop.example", "mei@shop.example"
BOTH = (LIN, MEI)
RAW = "Subject: 您好\r\n\r\n.第一行\r\nline\r\n".encode()


def options(port: int, **fields: Any) -> MailOptions:
    plain = MailOptions(smtp_host=HOST, smtp_port=port, smtp_use_tls=False, email_from=USER)
    return structs.replace(plain, **fields)


async def carry(office: PostOffice, **fields: Any) -> Outcome:
    smtp = Smtp(options(office.port, **fields), step_within_s=5.0)
    return await smtp.carry(Letter(USER, BOTH, RAW))


async def test_a_mail_arrives_as_it_was_written() -> None:
    async with post_office() as office:
        assert await carry(office) == Outcome(accepted=BOTH)
    (raw,), (envelope,) = office.raw, office.envelopes
    assert raw == RAW
    assert (envelope.mail_from, envelope.rcpt_tos) == (USER, list(BOTH))
    assert office.is_encrypted == [False]


@pytest.mark.parametrize(
    ("command", "code", "expected"),
    [
        ("MAIL", "450 later", Outcome(later=BOTH, failure="SMTPSenderRefused 450")),
        ("MAIL", "553 not you", Outcome(later=BOTH, failure="SMTPSenderRefused 553")),
        ("DATA", "451 later", Outcome(later=BOTH, failure="SMTPDataError 451")),
        ("DATA", "554 spam", Outcome(refused=BOTH, failure="SMTPDataError 554")),
        (LIN, "550 who?", Outcome((MEI,), refused=(LIN,), failure="SMTPRecipientRefused 550")),
        (LIN, "451 grey", Outcome((MEI,), later=(LIN,), failure="SMTPRecipientRefused 451")),
    ],
)
async def test_an_answer_is_taken_as_it_is_meant(
    command: str, code: str, expected: Outcome
) -> None:
    async with post_office() as office:
        office.codes[command] = [code]
        assert await carry(office) == expected


async def test_nobody_wanted_sends_no_text() -> None:
    async with post_office() as office:
        office.refused = {LIN: "550 who?", MEI: "450 later"}
        outcome = await carry(office)
    assert (outcome.accepted, outcome.later, outcome.refused) == ((), (MEI,), (LIN,))
    assert office.raw == []


async def test_a_connection_cut_after_the_text_leaves_a_doubt() -> None:
    async with post_office() as office:
        office.mischief = ["cut after data"]
        outcome = await carry(office)
    assert outcome == Outcome(unknown=BOTH, failure="SMTPServerDisconnected")
    assert len(office.raw) == 1


async def test_no_answer_after_the_text_leaves_a_doubt() -> None:
    async with post_office() as office:
        office.mischief = ["hang after data"]
        smtp = Smtp(options(office.port), step_within_s=0.2)
        outcome = await smtp.carry(Letter(USER, BOTH, RAW))
    assert (outcome.unknown, outcome.failure) == (BOTH, "SMTPReadTimeoutError")


async def test_a_connection_cut_before_the_text_leaves_none() -> None:
    async with post_office() as office:
        office.mischief = ["cut before data"]
        outcome = await carry(office)
    assert (outcome.later, outcome.unknown) == (BOTH, ())


async def test_a_server_that_is_not_there_is_asked_later() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    outcome = await Smtp(options(port)).carry(Letter(USER, BOTH, RAW))
    assert outcome == Outcome(later=BOTH, failure="SMTPConnectError", is_reachable=False)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server((HOST, 0)) as silent:
        smtp = Smtp(options(silent.getsockname()[1]), step_within_s=0.2)
        outcome = await smtp.carry(Letter(USER, BOTH, RAW))
    assert (outcome.later, outcome.is_reachable) == (BOTH, False)


SIGNED = {"smtp_username": USER, "smtp_password": Secret(PASSWORD)}


async def test_whoever_has_a_password_signs_in() -> None:
    async with post_office(with_login=True) as office:
        assert (await carry(office, **SIGNED)).accepted == BOTH
    assert office.signed_in == [USER]


async def test_a_wrong_password_is_tried_again_later() -> None:
    async with post_office(with_login=True) as office:
        wrong = {**SIGNED, "smtp_password": Secret("wrong")}
        outcome = await carry(office, **wrong)
    assert (outcome.later, outcome.failure) == (BOTH, "SMTPAuthenticationError 535")
    assert not outcome.is_reachable


@pytest.mark.parametrize("tls", ["starttls", "first"])
async def test_with_tls_nothing_goes_in_the_clear(tls: Any) -> None:
    async with post_office(tls=tls, with_login=True) as office:
        smtp = Smtp(
            options(office.port, smtp_use_tls=True, **SIGNED),
            tls=client_context(),
            tls_port=office.port if tls == "first" else 465,
        )
        assert (await smtp.carry(Letter(USER, BOTH, RAW))).accepted == BOTH
    assert office.is_encrypted == [True]
    assert office.signed_in == [USER]


@pytest.mark.parametrize("tls", ["starttls", "first"])
async def test_a_certificate_nobody_vouches_for_is_no_mail_server(tls: Any) -> None:
    async with post_office(tls=tls) as office:
        smtp = Smtp(
            options(office.port, smtp_use_tls=True),
            tls=ssl.create_default_context(),
            tls_port=office.port if tls == "first" else 465,
        )
        outcome = await smtp.carry(Letter(USER, BOTH, RAW))
    assert (outcome.later, outcome.is_reachable) == (BOTH, False)
    assert office.raw == []


async def test_a_server_without_tls_gets_no_mail_when_tls_is_wanted() -> None:
    async with post_office() as office:
        outcome = await carry(office, smtp_use_tls=True)
    assert (outcome.later, outcome.is_reachable) == (BOTH, False)
    assert office.raw == []
