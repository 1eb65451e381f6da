"""Mails as they travel: MIME with a text and an HTML part, in 7 bits, signed by nobody.

The same rows give the same bytes: an attempt that comes later says what the first one said, under
the same Message-ID and date.
"""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import convert

from kefu.notifications.options import MailOptions
from kefu.notifications.render import Line, Sheet, alert_line, as_html, as_text, flat, is_address
from kefu.notifications.smtp import Letter
from kefu.notifications.state import Alert
from kefu.notifications.store import ChatFacts, Mail, MessageLine, Occasion
from kefu.notifications.texts import Words, words_of

DETAILS_CHARS: Final = 500
MINUTE: Final = "%Y-%m-%d %H:%M"


def alert_letter(mail: Mail, options: MailOptions, recipients: tuple[str, ...]) -> Letter:
    words = words_of(options.mail_locale)
    line = alert_line(convert(mail.alert, Alert), words)
    message = _message(mail, options, line)
    message.set_content(line + "\n", cte="base64")
    return _letter(message, options, recipients)


def chat_letter(
    mail: Mail,
    options: MailOptions,
    recipients: tuple[str, ...],
    *,
    facts: ChatFacts,
    occasion: Occasion | None,
    lines: tuple[MessageLine, ...],
    zone: ZoneInfo,
    earlier: str | None = None,
) -> Letter:
    """`earlier` is the Message-ID of the mail that this one belongs behind."""
    words = words_of(options.mail_locale, facts.locale)
    sheet = _sheet(mail, facts, occasion, lines, zone, words)
    message = _message(mail, options, sheet.subject)
    if earlier is not None:
        message["In-Reply-To"] = message["References"] = f"<{earlier}>"
    if sheet.email is not None:
        message["Reply-To"] = Address(addr_spec=sheet.email)
    message.set_content(as_text(sheet, words), cte="base64")
    message.add_alternative(as_html(sheet, words), subtype="html", cte="base64")
    message.set_boundary(f"=_{mail.id}")  # no line of base64 looks like it
    return _letter(message, options, recipients)


def _sheet(
    mail: Mail,
    facts: ChatFacts,
    occasion: Occasion | None,
    lines: tuple[MessageLine, ...],
    zone: ZoneInfo,
    words: Words,
) -> Sheet:
    name = flat(facts.name or "") or words.nameless
    subject, intro = _heading(mail, occasion, words)
    email = next((each for each in (facts.left_email, facts.email) if each), None)
    return Sheet(
        subject=subject.format(name=name),
        intro=intro,
        facts=tuple(_facts(mail, facts, occasion, zone, words)),
        email=email if email is not None and is_address(email) else None,
        lines=tuple(
            Line(each.at.astimezone(zone).strftime(MINUTE), _speaker(each, words), each.content)
            for each in lines
        ),
        left_out=facts.message_count - len(lines),
        has_transcript=mail.kind != "address",
    )


def _heading(mail: Mail, occasion: Occasion | None, words: Words) -> tuple[str, str]:
    if mail.kind == "requested":
        return words.subject_requested, words.intro_requested
    if mail.kind == "address":
        return words.subject_address, words.intro_address
    if occasion is not None and occasion.kind == "EmailLeft":
        return words.subject_waiting, words.intro_waiting
    return words.subject_escalated, words.intro_escalated


def _facts(
    mail: Mail, facts: ChatFacts, occasion: Occasion | None, zone: ZoneInfo, words: Words
) -> list[tuple[str, str]]:
    name = flat(facts.name or "") or words.nameless
    found = [(words.customer, f"{name} ({words.yes_vip})" if facts.is_vip else name)]
    if facts.left_email or facts.email:
        found.append((words.email, flat(facts.left_email or facts.email or "", 254)))
    if occasion is not None:
        found.append((words.asked_at, occasion.at.astimezone(zone).strftime(MINUTE)))
        if occasion.reason:
            reason = words.reasons.get(occasion.reason, occasion.reason)
            found.append((words.reason, flat(reason, DETAILS_CHARS)))
        found += _more(occasion, zone, words)
    found.append((words.chat, str(mail.chat_id)))
    return found


def _more(occasion: Occasion, zone: ZoneInfo, words: Words) -> list[tuple[str, str]]:
    """What the event's body says, whatever shape it has."""
    found = []
    severity = occasion.body.get("severity")
    if isinstance(severity, str):
        found.append((words.severity, words.severities.get(severity, flat(severity))))
    details = occasion.body.get("details")
    if isinstance(details, list):
        details = ", ".join(str(each) for each in details)
    if isinstance(details, str) and details:
        found.append((words.details, flat(details, DETAILS_CHARS)))
    back_at = _instant(occasion.body.get("next_start"))
    if back_at is not None:
        found.append((words.back_at, back_at.astimezone(zone).strftime(MINUTE)))
    return found


def _instant(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _speaker(line: MessageLine, words: Words) -> str:
    match line.sender_type:
        case "customer":
            return words.customer_says
        case "agent":
            name = flat(line.sender_name or "")
            return f"{words.agent_says} {name}" if name else words.agent_says
        case "ai":
            return words.bot_says
        case _:
            return words.system_says


def _message(mail: Mail, options: MailOptions, subject: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(flat(options.email_from_name), addr_spec=options.sender)
    message["To"] = [Address(addr_spec=each) for each in options.email_recipients]
    message["Subject"] = flat(subject, 150)
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.message_id}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def _letter(message: EmailMessage, options: MailOptions, recipients: tuple[str, ...]) -> Letter:
    assert options.sender is not None  # without one no mail is made
    return Letter(options.sender, recipients, message.as_bytes())
