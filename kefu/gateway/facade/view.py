"""Sessions as clients of the facade see them. It only reads, and decides nothing."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from kefu.clock import Clock
from kefu.conversations.announce import waiting_of
from kefu.conversations.chat import Chat
from kefu.conversations.sessions.names import name_of
from kefu.conversations.sessions.store import Called, PostgresSessions, Session, Transition
from kefu.dispatch.messages import Waiting
from kefu.dispatch.queue import URGENT_AFTER_S, in_order, priority
from protocol.server import Message, PriorityLevel, SenderType
from protocol.sessions import (
    AgentInCharge,
    AuditLine,
    EscalationShown,
    HistoryEntry,
    Operator,
    Priority,
    QueueEntry,
    QueueShown,
    SessionShown,
    UserProfile,
)

ROLES: Final[dict[SenderType, Literal["user", "assistant", "agent", "system"]]] = {
    "customer": "user",
    "ai": "assistant",
    "agent": "agent",
    "system": "system",
}
# Why a human was called, where the customer went to one of their own accord.
OWN_WISH: Final = frozenset(("started", "manual", None))


class Queue:
    """Everybody who waits, as at one moment, in the one order of the queue."""

    def __init__(self, chats: Iterable[Chat], now: float) -> None:
        self._chats = {chat.chat_id: chat for chat in chats}
        self.now = now
        self.waiting = in_order((waiting_of(chat) for chat in self._chats.values()), now)
        self._by_chat = {waiting.chat_id: waiting for waiting in self.waiting}

    @property
    def ids(self) -> list[UUID]:
        return [waiting.chat_id for waiting in self.waiting]

    def priority_of(self, session: Session) -> Priority:
        """Who does not wait has a priority, too: the one they would begin to wait with."""
        waiting = self._by_chat.get(session.chat_id)
        if waiting is None or session.phase != "pending_manual":
            usual: PriorityLevel = "urgent" if session.is_vip else "normal"
            return Priority(usual, session.is_vip, wait_time_seconds=0, is_timeout=False)
        waited_s = _waited_s(waiting, self.now)
        level = priority(waiting, self.now)
        return Priority(level, session.is_vip, int(waited_s), waited_s > URGENT_AFTER_S)

    def shown(self) -> QueueShown:
        entries = tuple(self._entry(place, one) for place, one in enumerate(self.waiting, start=1))
        waits = [entry.wait_time_seconds for entry in entries]
        return QueueShown(
            queue=entries,
            total_count=len(entries),
            vip_count=sum(entry.is_vip for entry in entries),
            avg_wait_time=round(sum(waits) / len(waits), 1) if waits else 0.0,
            max_wait_time=max(waits, default=0),
        )

    def _entry(self, place: int, waiting: Waiting) -> QueueEntry:
        customer = self._chats[waiting.chat_id].customer
        waited_s = _waited_s(waiting, self.now)
        return QueueEntry(
            session_name=name_of(customer.id, customer.sub, is_guest=customer.is_guest),
            chat_id=waiting.chat_id,
            position=place,
            priority_level=priority(waiting, self.now),
            is_vip=waiting.is_vip,
            wait_time_seconds=int(waited_s),
            is_timeout=waited_s > URGENT_AFTER_S,
            customer_name=waiting.customer_name,
            topic=waiting.topic,
            reason=waiting.reason,
            team_id=waiting.team_id,
        )


async def queue_of(sessions: PostgresSessions, clock: Clock) -> Queue:
    """As it is now. Raises StoreUnavailable."""
    return Queue(await sessions.waiting(), clock.now().timestamp())


async def queue_around(sessions: PostgresSessions, clock: Clock, session: Session) -> Queue:
    """Enough of the queue to tell that session's priority."""
    chat = await sessions.chat(session.chat_id) if session.phase == "pending_manual" else None
    is_waiting = chat is not None and chat.phase == "pending_manual"
    return Queue([chat] if chat is not None and is_waiting else [], clock.now().timestamp())


def session_shown(
    session: Session,
    queue: Queue,
    conversation_id: str | None,
    messages: Iterable[Message] = (),
) -> SessionShown:
    seat = session.agent
    return SessionShown(
        session_name=session.name,
        chat_id=session.chat_id,
        status=session.phase,
        conversation_id=conversation_id,
        user_profile=_profile(session),
        escalation=_escalation(session.called),
        assigned_agent=AgentInCharge(seat.id, seat.name, seat.avatar_url, _seconds(seat.taken_at))
        if seat
        else None,
        priority=queue.priority_of(session),
        topic=session.topic,
        last_message=session.last_message,
        created_at=session.created_at.timestamp(),
        updated_at=session.updated_at.timestamp(),
        history=tuple(_entry(message) for message in messages),
    )


def audit_line(step: Transition, *, is_for_customer: bool) -> AuditLine:
    """What an agent gave as a reason is for colleagues."""
    is_hidden = is_for_customer and step.by_type == "agent"
    return AuditLine(
        from_status=step.from_phase,
        to_status=step.to_phase,
        action=step.action,
        operator=Operator(step.by_type, step.by_id, step.by_name),
        reason=None if is_hidden else step.reason,
        timestamp=step.at.timestamp(),
    )


def _profile(session: Session) -> UserProfile:
    return UserProfile(
        id=session.customer_id,
        name=session.customer_name,
        email=session.email,
        phone=session.phone,
        locale=session.locale,
        is_vip=session.is_vip,
        is_guest=session.is_guest,
        customer_type=session.customer_type,
    )


def _escalation(called: Called | None) -> EscalationShown | None:
    if called is None:
        return None
    body = called.body or {}
    details = body.get("details") or ()
    return EscalationShown(
        reason="manual" if called.reason in OWN_WISH else str(called.reason),
        details=tuple(str(each) for each in details),
        severity=str(body.get("severity") or "high"),
        trigger_at=called.at.timestamp(),
    )


def _entry(message: Message) -> HistoryEntry:
    is_agents = message.sender_type == "agent"
    return HistoryEntry(
        message_id=message.message_id,
        seq=message.seq,
        role=ROLES[message.sender_type],
        content=message.content,
        message_type=message.message_type,
        timestamp=message.timestamp.timestamp(),
        agent_id=message.sender_id if is_agents else None,
        agent_name=message.sender_name if is_agents else None,
    )


def _waited_s(waiting: Waiting, now: float) -> float:
    return max(0.0, now - waiting.since)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
