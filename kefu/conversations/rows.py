"""What the journal is to write of a chat. Pure."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kefu.conversations.chat import STATUS, Chat
from kefu.conversations.events import (
    AskedAfterHours,
    AssistAsked,
    BotAnswered,
    EmailLeft,
    Event,
    HumanCalled,
    LogEvent,
    NoteWritten,
    Opened,
    Rated,
    Requeued,
    Spoken,
    Whispered,
)
from kefu.conversations.parties import SYSTEM, Customer
from kefu.instants import instant
from kefu.storage.rows import ChatRow, CustomerRow, EventRow, MessageRow


def customer_row(customer: Customer) -> CustomerRow:
    return CustomerRow(
        id=customer.id,
        sub=customer.sub,
        is_guest=customer.is_guest,
        name=customer.name,
        email=customer.email,
        phone=customer.phone,
        locale=customer.locale,
        is_vip=customer.is_vip,
        is_signed=customer.is_signed,
    )


def chat_row(chat: Chat, customer_read_seq: int, agent_read_seq: int) -> ChatRow:
    seat = chat.agent or chat.served_by
    return ChatRow(
        id=chat.chat_id,
        customer_id=chat.customer.id,
        status=STATUS[chat.phase],
        agent_id=seat.id if seat else None,
        agent_name=seat.name if seat else None,
        agent_avatar=seat.avatar_url if seat else None,
        began_with_bot=chat.began_with_bot,
        topic=chat.topic,
        order_id=chat.order_id,
        reason=chat.reason,
        log_head=chat.log_id,
        customer_read_seq=customer_read_seq,
        agent_read_seq=agent_read_seq,
        started_at=instant(chat.opened_at),
        waiting_since=_instant(chat.waiting_since),
        taken_at=_instant(chat.taken_at),
        ended_at=_instant(chat.ended_at),
        rating=chat.rating,
        feedback=chat.feedback,
        team_id=chat.team_id,
        answered_seq=chat.answered_seq,
        bot_failures=chat.bot_failures,
        after_hours_at=_instant(chat.after_hours_at),
        contact_email=chat.contact_email,
    )


def message_row(event: Spoken) -> MessageRow:
    return MessageRow(
        chat_id=event.chat_id,
        seq=event.seq,
        message_id=event.message_id,
        sender_type=event.sender.kind,
        sender_id=event.sender.id,
        sender_name=event.sender.name,
        content=event.content,
        message_type=event.message_type,
        client_message_id=event.client_message_id,
        created_at=instant(event.at),
    )


def event_row(chat_id: UUID, event: LogEvent) -> EventRow:
    by = SYSTEM if isinstance(event, Opened) else event.by
    return EventRow(
        chat_id=chat_id,
        log_id=event.log_id,
        kind=type(event).__name__,
        by_type=by.kind,
        by_id=by.id,
        by_name=by.name,
        from_phase=getattr(event, "from_phase", None),
        to_phase=getattr(event, "to_phase", None),
        reason=getattr(event, "reason", None),
        body=_body(event),
        created_at=instant(event.at),
    )


def _body(event: Event) -> str | None:
    """What the columns do not hold."""
    held = _more(event)
    return None if held is None else msgspec.json.encode(held).decode()


def _more(event: Event) -> dict[str, object] | None:
    match event:
        case NoteWritten(content=content) | Whispered(content=content):
            return {"content": content}
        case AssistAsked(to_agent=to_agent, question=question):
            return {"agent_id": to_agent, "question": question}
        case Rated(rating=rating, feedback=feedback):
            return {"rating": rating, "feedback": feedback}
        case Requeued(team_id=team_id):
            return {"team_id": team_id} if team_id else None
        case HumanCalled(severity=severity, details=details):
            return {"severity": severity, "details": details} if severity else None
        case AskedAfterHours(severity=severity, details=details, next_start=next_start):
            return {"severity": severity, "details": details, "next_start": next_start}
        case EmailLeft(email=email):
            return {"email": email}
        case BotAnswered():
            return {
                "message_id": event.message_id,
                "answers_seq": event.answers_seq,
                "outcome": event.outcome,
                "sources": event.sources,
            }
        case _:
            agent = getattr(event, "agent", None)
            return {"agent_id": agent.id} if agent else None


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else instant(seconds)


def rows_of(chat_id: UUID, events: Sequence[Event]) -> tuple[list[MessageRow], list[EventRow]]:
    """The events of one chat as the rows that make them durable."""
    messages: list[MessageRow] = []
    log: list[EventRow] = []
    for event in events:
        if isinstance(event, Spoken):
            messages.append(message_row(event))
        else:
            log.append(event_row(chat_id, event))
    return messages, log
