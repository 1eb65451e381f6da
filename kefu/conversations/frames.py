"""Chats and events as the frames people see. Pure: times come in as seconds, go out as UTC."""

from typing import Final
from uuid import UUID

from kefu.conversations.commands import Refusal
from kefu.conversations.events import NoteWritten, Spoken
from kefu.conversations.keys import Known
from kefu.conversations.parties import AgentSeat, Customer
from kefu.conversations.state import STATUS, Chat
from kefu.instants import instant
from protocol.codes import ERRORS, ErrorCode
from protocol.server import (
    AgentCard,
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
    chat: Chat, *, queue_position: int | None = None, for_agents: bool = False
) -> ChatState:
    seat = chat.agent or (chat.served_by if not chat.is_open else None)
    return ChatState(
        chat_id=chat.chat_id,
        status=STATUS[chat.phase],
        last_seq=chat.seq,
        agent=agent_card(seat) if seat else None,
        queue_position=queue_position if chat.phase == "pending_manual" else None,
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


def message_frame(event: Spoken) -> NewMessage:
    at = instant(event.at)
    message = Message(
        chat_id=event.chat_id,
        message_id=event.message_id,
        seq=event.seq,
        sender_type=event.sender.kind,
        content=event.content,
        timestamp=at,
        message_type=event.message_type,
        sender_id=event.sender.id,
        sender_name=event.sender.name,
        client_message_id=event.client_message_id,
    )
    return NewMessage(message, at)


def receipt_frame(known: Known, client_message_id: str | None, reply_to: str | None) -> MessageAck:
    at = instant(known.at)
    receipt = Receipt(known.chat_id, known.message_id, known.seq, at, client_message_id)
    return MessageAck(receipt, at, reply_to)


def note_frame(event: NoteWritten, chat_id: UUID, reply_to: str | None = None) -> NoteAdded:
    assert event.by.id is not None
    at = instant(event.at)
    note = Note(chat_id, event.log_id, event.by.id, event.by.name or "", event.content, at)
    return NoteAdded(note, at, reply_to)


def refusal_frame(
    refusal: Refusal, at: float, *, chat_id: UUID | None = None, reply_to: str | None = None
) -> Error:
    retry_after_s = RETRY_AFTER_S if refusal.code is ErrorCode.OVERLOADED else None
    sentence = refusal.sentence or ERRORS[refusal.code].sentence
    return Error(Fault(refusal.code, sentence, chat_id, retry_after_s), instant(at), reply_to)
