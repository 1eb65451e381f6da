"""Chats and events as the frames people see. Pure: times come in as seconds, go out as UTC."""

from typing import Final, assert_never
from uuid import UUID

from kefu.conversations.chat import STATUS, Chat
from kefu.conversations.commands import Refusal
from kefu.conversations.events import AssistAsked, NoteWritten, Remark, Spoken, Whispered
from kefu.conversations.keys import Known
from kefu.conversations.parties import AgentSeat, Customer
from kefu.instants import instant
from protocol import server
from protocol.codes import ERRORS, ErrorCode
from protocol.server import (
    AgentCard,
    AssistCall,
    AssistRequest,
    ChatState,
    ChatStatus,
    CustomerCard,
    Error,
    Fault,
    Message,
    MessageAck,
    NewMessage,
    Note,
    NoteAdded,
    Receipt,
)

RETRY_AFTER_S: Final = 1.0


def chat_state(
    chat: Chat,
    *,
    queue_position: int | None = None,
    wait_s: tuple[int, int] | None = None,
    for_agents: bool = False,
) -> ChatState:
    seat = chat.agent or (chat.served_by if not chat.is_open else None)
    return ChatState(
        chat_id=chat.chat_id,
        status=STATUS[chat.phase],
        last_seq=chat.seq,
        agent=agent_card(seat) if seat else None,
        queue_position=queue_position if chat.phase == "pending_manual" else None,
        estimated_wait_s=wait_s if chat.phase == "pending_manual" else None,
        topic=chat.topic,
        rating=chat.rating,
        customer=customer_card(chat.customer) if for_agents else None,
    )


def agent_card(seat: AgentSeat) -> AgentCard:
    return AgentCard(seat.id, seat.name, seat.avatar_url)


def customer_card(customer: Customer) -> CustomerCard:
    return CustomerCard(
        customer.id, customer.name, customer.is_vip, customer.is_guest, customer.locale
    )


def status_frame(state: ChatState, at: float, reply_to: str | None = None) -> ChatStatus:
    return ChatStatus(state, instant(at), reply_to)


def message_of(event: Spoken) -> Message:
    return Message(
        chat_id=event.chat_id,
        message_id=event.message_id,
        seq=event.seq,
        sender_type=event.sender.kind,
        content=event.content,
        timestamp=instant(event.at),
        message_type=event.message_type,
        sender_id=event.sender.id,
        sender_name=event.sender.name,
        client_message_id=event.client_message_id,
    )


def message_frame(event: Spoken) -> NewMessage:
    message = message_of(event)
    return NewMessage(message, message.timestamp)


def receipt_frame(known: Known, client_message_id: str | None, reply_to: str | None) -> MessageAck:
    at = instant(known.at)
    receipt = Receipt(known.chat_id, known.message_id, known.seq, at, client_message_id)
    return MessageAck(receipt, at, reply_to)


def remark_frame(
    event: Remark, chat_id: UUID, reply_to: str | None = None
) -> NoteAdded | server.Whispered | AssistRequest:
    """For the staff alone."""
    by, at = event.by, instant(event.at)
    assert by.id is not None
    match event:
        case AssistAsked(question=question):
            call = AssistCall(chat_id, AgentCard(by.id, by.name or ""), question)
            return AssistRequest(call, at, reply_to)
        case NoteWritten(log_id=log_id, content=content):
            return NoteAdded(Note(chat_id, log_id, by.id, by.name or "", content, at), at, reply_to)
        case Whispered(log_id=log_id, content=content):
            note = Note(chat_id, log_id, by.id, by.name or "", content, at)
            return server.Whispered(note, at, reply_to)
        case _:
            assert_never(event)


def refusal_frame(
    refusal: Refusal, at: float, *, chat_id: UUID | None = None, reply_to: str | None = None
) -> Error:
    is_busy = refusal.code is ErrorCode.OVERLOADED
    fault = Fault(
        code=refusal.code,
        message=refusal.sentence or ERRORS[refusal.code].sentence,
        chat_id=chat_id,
        retry_after_s=RETRY_AFTER_S if is_busy else refusal.retry_after_s,
        taken_by=agent_card(refusal.taken_by) if refusal.taken_by else None,
        taken_at=None if refusal.taken_at is None else instant(refusal.taken_at),
    )
    return Error(fault, instant(at), reply_to)
