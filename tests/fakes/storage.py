"""PostgreSQL as the actors see it, in memory: rows, unique keys, and failures by script.

It keeps the same promises as kefu/storage/journal.py and the stores: an entry is written whole or
not at all, and a row that is there already makes it collide.
"""

import asyncio
from collections import defaultdict, deque
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import structs

from kefu.agents.state import Desk
from kefu.conversations.announce import waiting_of
from kefu.conversations.chat import Chat
from kefu.conversations.keys import WINDOW, Known, fingerprint
from kefu.conversations.parties import AgentSeat, Customer
from kefu.conversations.ports import StoredChat
from kefu.conversations.rows import customer_row
from kefu.conversations.store import PHASE
from kefu.dispatch.messages import Waiting
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import Collided
from kefu.storage.rows import ChatRow, CustomerRow, Entry, EventRow, MessageRow
from protocol.agent import AgentStatusName
from protocol.server import Message


class Fault(NamedTuple):
    """What the next append ends in; `is_written` when the entry got there all the same."""

    error: Exception
    is_written: bool = False


class Storage:
    """The chats' store, the journal and the agents' desks in one."""

    def __init__(self) -> None:
        self.customers: dict[UUID, Customer] = {}
        self.desks: dict[UUID, Desk] = {}
        self.chats: dict[UUID, ChatRow] = {}
        self.messages_by_place: dict[tuple[UUID, int], MessageRow] = {}
        self.events_by_place: dict[tuple[UUID, int], EventRow] = {}
        self._said: defaultdict[UUID, list[MessageRow]] = defaultdict(list)
        self._happened: defaultdict[UUID, list[EventRow]] = defaultdict(list)
        self.read_count = 0
        self.faults: deque[Fault | None] = deque()
        self.entries: list[Entry] = []
        """What was committed, in order."""
        self.commit_s = 0.0
        self.is_down = False
        self.is_broken = False
        self.load_count = 0
        self.gate: asyncio.Event | None = None
        """Holds back the answer to `waiting`, which is then an old one."""

    # --- the journal ------------------------------------------------------------------------------

    async def append(self, entry: Entry) -> None:
        await asyncio.sleep(self.commit_s)
        fault = self.faults.popleft() if self.faults else None
        if fault is None or fault.is_written:
            self._write(entry)
        if fault is not None:
            raise fault.error

    def _write(self, entry: Entry) -> None:
        if self._collides(entry):
            raise Collided
        if entry.customer is not None:
            self._keep_customer(entry.customer)
        for row in entry.chats:
            old = self.chats.get(row.id)
            if old is None or old.log_head <= row.log_head:
                self.chats[row.id] = _with_marks(row, old)
        self.events_by_place |= {(row.chat_id, row.log_id): row for row in entry.events}
        for message in entry.messages:
            self.put(message)
        for event in entry.events:
            self._happened[event.chat_id].append(event)
        self.entries.append(entry)

    def _keep_customer(self, row: CustomerRow) -> None:
        old = self.customers.get(row.id)
        row = row.over(customer_row(old) if old else None)
        self.customers[row.id] = Customer(**structs.asdict(row))

    def put(self, row: MessageRow) -> None:
        """Have a message there that somebody else wrote."""
        self.messages_by_place[row.chat_id, row.seq] = row
        self._said[row.chat_id].append(row)

    def _collides(self, entry: Entry) -> bool:
        open_before = {row.customer_id: row.id for row in self.chats.values() if _is_open(row)}
        ending = {row.id for row in entry.chats if not _is_open(row)}
        return (
            any((row.chat_id, row.seq) in self.messages_by_place for row in entry.messages)
            or any((row.chat_id, row.log_id) in self.events_by_place for row in entry.events)
            or any(self._sent(row) is not None for row in entry.messages)
            or any(
                open_before.get(row.customer_id, row.id) not in {row.id, *ending}
                for row in entry.chats
                if _is_open(row)
            )
        )

    def _sent(self, row: MessageRow) -> MessageRow | None:
        if row.client_message_id is None:
            return None
        same = (row.chat_id, row.sender_id, row.client_message_id)
        for old in self._said[row.chat_id]:
            if (old.chat_id, old.sender_id, old.client_message_id) == same:
                return old
        return None

    # --- chats ------------------------------------------------------------------------------------

    async def latest(self, customer_id: UUID) -> StoredChat | None:
        self.answer()
        self.load_count += 1
        rows = [row for row in self.chats.values() if row.customer_id == customer_id]
        rows.sort(key=lambda row: (_is_open(row), row.started_at, row.id))
        return self._stored(rows[-1]) if rows else None

    async def chat(self, chat_id: UUID) -> StoredChat | None:
        self.answer()
        row = self.chats.get(chat_id)
        return self._stored(row) if row else None

    async def keys(self, customer_id: UUID) -> list[tuple[UUID, str, Known]]:
        self.answer()
        found = [
            (row.sender_id, row.client_message_id, _known(row))
            for row in self.messages_by_place.values()
            if self.chats[row.chat_id].customer_id == customer_id
            and row.sender_id is not None
            and row.client_message_id is not None
        ]
        return found[-WINDOW:]

    async def sent(self, chat_id: UUID, sender_id: UUID, key: str) -> Known | None:
        self.answer()
        for row in self.said(chat_id):
            if (row.sender_id, row.client_message_id) == (sender_id, key):
                return _known(row)
        return None

    async def messages(self, chat_id: UUID, *, after: int, until: int, limit: int) -> list[Message]:
        self.answer()
        self.read_count += 1
        found = [row for row in self.said(chat_id) if after < row.seq <= until]
        return [_message(row) for row in found[:limit]]

    async def busy_agents(self) -> list[UUID]:
        self.answer()
        rows = self.chats.values()
        return [row.agent_id for row in rows if row.status == "active" and row.agent_id]

    async def waiting(self) -> list[Waiting]:
        self.answer()
        found = [
            waiting_of(self._stored(row).chat)
            for row in self.chats.values()
            if row.status == "waiting"
        ]
        if self.gate is not None:
            await self.gate.wait()
        return found

    def said(self, chat_id: UUID) -> list[MessageRow]:
        return sorted(self._said[chat_id], key=lambda row: row.seq)

    def happened(self, chat_id: UUID) -> list[EventRow]:
        return sorted(self._happened[chat_id], key=lambda row: row.log_id)

    def _asked_seq(self, chat_id: UUID) -> int:
        asked = [row.seq for row in self.said(chat_id) if row.sender_type == "customer"]
        return max(asked, default=0)

    def _stored(self, row: ChatRow) -> StoredChat:
        seat = None
        if row.agent_id is not None:
            seat = AgentSeat(row.agent_id, row.agent_name or "", row.agent_avatar)
        phase = PHASE[row.status]
        chat = Chat(
            chat_id=row.id,
            customer=self.customers[row.customer_id],
            phase=phase,
            opened_at=row.started_at.timestamp(),
            began_with_bot=row.began_with_bot,
            seq=len(self.said(row.id)),
            log_id=row.log_head,
            unseen_id=min([0, *(event.log_id for event in self.happened(row.id))]),
            agent=seat if phase == "manual_live" else None,
            served_by=seat,
            topic=row.topic,
            order_id=row.order_id,
            waiting_since=_seconds(row.waiting_since),
            reason=row.reason,
            taken_at=_seconds(row.taken_at),
            ended_at=_seconds(row.ended_at),
            rating=row.rating,
            feedback=row.feedback,
            team_id=row.team_id,
            asked_seq=self._asked_seq(row.id),
            answered_seq=row.answered_seq,
            bot_failures=row.bot_failures,
            after_hours_at=_seconds(row.after_hours_at),
            contact_email=row.contact_email,
        )
        return StoredChat(chat, row.customer_read_seq, row.agent_read_seq)

    # --- desks ------------------------------------------------------------------------------------

    def active(self, agent_id: UUID) -> dict[UUID, UUID]:
        rows = self.chats.values()
        return {
            row.id: row.customer_id
            for row in rows
            if row.agent_id == agent_id and row.status == "active"
        }

    async def load(self, agent_id: UUID) -> Desk | None:
        self.answer()
        self.load_count += 1
        desk = self.desks.get(agent_id)
        return structs.replace(desk, active=self.active(agent_id)) if desk else None

    async def save_status(self, agent_id: UUID, status: AgentStatusName, note: str | None) -> None:
        self.answer()
        desk = self.desks[agent_id]
        self.desks[agent_id] = structs.replace(desk, chosen=status, status_note=note)

    def answer(self) -> None:
        if self.is_broken:
            raise RuntimeError("a bug")
        if self.is_down:
            raise StoreUnavailable("PostgreSQL does not answer.")


def _is_open(row: ChatRow) -> bool:
    return row.status != "ended"


def _with_marks(row: ChatRow, old: ChatRow | None) -> ChatRow:
    if old is None:
        return row
    return structs.replace(
        row,
        customer_read_seq=max(old.customer_read_seq, row.customer_read_seq),
        agent_read_seq=max(old.agent_read_seq, row.agent_read_seq),
    )


def _seconds(value: datetime | None) -> float | None:
    return None if value is None else value.timestamp()


def _message(row: MessageRow) -> Message:
    kinds: Any = row
    return Message(
        chat_id=row.chat_id,
        message_id=row.message_id,
        seq=row.seq,
        sender_type=kinds.sender_type,
        content=row.content,
        timestamp=row.created_at,
        message_type=kinds.message_type,
        sender_id=row.sender_id,
        sender_name=row.sender_name,
        client_message_id=row.client_message_id,
    )


def _known(row: MessageRow) -> Known:
    return Known(
        chat_id=row.chat_id,
        message_id=row.message_id,
        seq=row.seq,
        at=row.created_at.timestamp(),
        fingerprint=fingerprint(row.content, row.message_type),
    )
