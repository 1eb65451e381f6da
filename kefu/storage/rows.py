"""What the journal writes, row by row. Times are aware datetimes in UTC."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class CustomerRow(Struct, frozen=True):
    """Who a chat is with, as their token says now."""

    id: UUID
    sub: str
    is_guest: bool
    name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    is_vip: bool
    is_signed: bool

    def over(self, older: "CustomerRow | None") -> "CustomerRow":
        """What is known of the same customer after both, as the journal's statement has it: what is
        not said any more stays, and so do a VIP and whoever the shop has signed for."""
        if older is None:
            return self
        return CustomerRow(
            self.id,
            self.sub,
            self.is_guest,
            name=older.name if self.name is None else self.name,
            email=older.email if self.email is None else self.email,
            phone=older.phone if self.phone is None else self.phone,
            locale=older.locale if self.locale is None else self.locale,
            is_vip=self.is_vip or older.is_vip,
            is_signed=self.is_signed or older.is_signed,
        )


class ChatRow(Struct, frozen=True):
    """The chat as it is after the entry; an older row of the same chat is replaced."""

    id: UUID
    customer_id: UUID
    status: str
    agent_id: UUID | None
    agent_name: str | None
    agent_avatar: str | None
    began_with_bot: bool
    topic: str | None
    order_id: UUID | None
    reason: str | None
    log_head: int
    customer_read_seq: int
    agent_read_seq: int
    started_at: datetime
    waiting_since: datetime | None
    taken_at: datetime | None
    ended_at: datetime | None
    rating: int | None
    feedback: str | None
    team_id: UUID | None
    answered_seq: int
    bot_failures: int
    after_hours_at: datetime | None
    contact_email: str | None


class MessageRow(Struct, frozen=True):
    chat_id: UUID
    seq: int
    message_id: UUID
    sender_type: str
    sender_id: UUID | None
    sender_name: str | None
    content: str
    message_type: str
    client_message_id: str | None
    created_at: datetime


class EventRow(Struct, frozen=True):
    chat_id: UUID
    log_id: int
    kind: str
    by_type: str
    by_id: UUID | None
    by_name: str | None
    from_phase: str | None
    to_phase: str | None
    reason: str | None
    body: str | None
    created_at: datetime


class Entry(Struct, frozen=True):
    """What one decision (or one batch of them) makes durable: all of it or nothing.

    `guards` are slots beside its own, with their epochs, that must still be held for it: whoever
    decided on the strength of what lives there (an agent's free place) must be who still may.
    """

    slot: int
    epoch: int
    chats: tuple[ChatRow, ...] = ()
    messages: tuple[MessageRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    guards: tuple[tuple[int, int], ...] = ()
    customer: CustomerRow | None = None

    @property
    def claims(self) -> tuple[tuple[int, int], ...]:
        """Every (slot, epoch) it stands on."""
        return ((self.slot, self.epoch), *self.guards)

    @property
    def row_count(self) -> int:
        customers = 0 if self.customer is None else 1
        return customers + len(self.chats) + len(self.messages) + len(self.events)
