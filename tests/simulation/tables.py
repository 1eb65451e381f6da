"""What PostgreSQL holds and enforces for kefu: rows, unique keys, and the epochs of slots.

A statement is one function here and takes effect at one moment, whole or not at all. It stands for
its SQL: what the SQL promises beyond this (locks, read consistency) one moment gives for free.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import asyncpg

from kefu.cluster.placement import SLOT_COUNT
from kefu.storage.rows import ChatRow, CustomerRow, EventRow, MessageRow

CHAT_COLUMNS = ("slot", *ChatRow.__struct_fields__)
MESSAGE_COLUMNS = ("slot", *MessageRow.__struct_fields__)
EVENT_COLUMNS = ("slot", *EventRow.__struct_fields__)
CUSTOMER_COLUMNS = ("slot", *CustomerRow.__struct_fields__)
ALL_COLUMNS = (CHAT_COLUMNS, MESSAGE_COLUMNS, EVENT_COLUMNS, CUSTOMER_COLUMNS)
# What an upsert leaves as the first insert made it.
_LASTING = {"id", "customer_id", "slot", "began_with_bot", "topic", "order_id", "started_at"}
_KEPT_WHERE_UNSAID = ("name", "email", "phone", "locale")
_MARKS = ("customer_read_seq", "agent_read_seq")
_NEVER = datetime.max.replace(tzinfo=UTC)
Columns = dict[str, Any]
OnCommit = Callable[[list[Columns], list[Columns], list[Columns]], None]
"""Chats, messages, events; each row with the `epoch` it was written under."""


class Row:
    """A record as asyncpg gives it: by name, and as a tuple of its values."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._columns.values())

    def keys(self) -> Sequence[str]:
        return list(self._columns)


class Tables:
    """`on_commit(chats, messages, events)` is called with what a commit wrote, as it is written;
    `on_claim(slots, instance)` when epochs were raised. `writer` is the process at work."""

    has_key_index: ClassVar[bool] = True
    has_fence: ClassVar[bool] = True
    has_number_index: ClassVar[bool] = True

    def __init__(self, on_commit: OnCommit) -> None:
        self.on_commit = on_commit
        self.on_claim: Callable[[Sequence[int], str], None] = lambda _slots, _instance: None
        self.writer = ""
        self.epochs = [0] * SLOT_COUNT
        self.customers: dict[UUID, Columns] = {}
        self.agents: dict[UUID, Columns] = {}
        self.chats: dict[UUID, Columns] = {}
        self.chats_of: dict[UUID, list[UUID]] = {}
        self.open_chat_of: dict[UUID, UUID] = {}
        self.messages: dict[UUID, dict[int, Columns]] = {}
        self.events: dict[UUID, dict[int, Columns]] = {}
        self.sent: dict[tuple[UUID, UUID, str], Columns] = {}

    # --- the journal's statement ------------------------------------------------------------------

    def write(self, args: Sequence[Any]) -> list[Row]:
        """As journal_sql.WRITE. Raises UniqueViolationError, and then wrote nothing."""
        wanted = dict(zip(args[0], args[1], strict=True))
        *args, is_all_or_nothing = args
        found = [
            slot
            for slot, epoch in wanted.items()
            if self.epochs[slot] == epoch or not self.has_fence
        ]
        held = [] if is_all_or_nothing and len(found) < len(wanted) else found
        parts, start = [], 2
        for names in ALL_COLUMNS:
            rows = zip(*args[start : start + len(names)], strict=True)
            parts.append(
                [
                    {**dict(zip(names, row, strict=True)), "epoch": wanted[row[0]]}
                    for row in rows
                    if row[0] in held
                ]
            )
            start += len(names)
        assert start == len(args), "the journal writes other columns than rows.py names"
        chats, messages, events, customers = parts
        self._check_counted(messages, self.messages, "seq")
        self._check_counted(events, self.events, "log_id")
        self._check_sent(messages)
        known = self.customers.keys() | {row["id"] for row in customers}
        merged, open_chats = self._merge_chats(chats, known)
        for row in customers:
            self._put_customer(row)
        self._put(merged, open_chats, messages, events)
        self.on_commit(list(merged.values()), messages, events)
        return [Row({"slot": slot}) for slot in found]

    def _check_counted(
        self, rows: list[Columns], table: dict[UUID, dict[int, Columns]], number: str
    ) -> None:
        places = {(row["chat_id"], row[number]) for row in rows}
        taken = any(row[number] in table.get(row["chat_id"], ()) for row in rows)
        if self.has_number_index and (taken or len(places) < len(rows)):
            raise asyncpg.UniqueViolationError("a row of this number is there already")

    def _check_sent(self, messages: list[Columns]) -> None:
        keys = [key for row in messages if (key := _sent_key(row)) is not None]
        is_taken = len(set(keys)) < len(keys) or any(key in self.sent for key in keys)
        if is_taken and self.has_key_index:
            raise asyncpg.UniqueViolationError("this message was sent before")

    def _merge_chats(
        self, rows: list[Columns], customers: Set[UUID]
    ) -> tuple[dict[UUID, Columns], dict[UUID, Any]]:
        merged: dict[UUID, Columns] = {}
        open_chats: dict[UUID, UUID | None] = {}
        for row in sorted(rows, key=lambda row: row["ended_at"] or _NEVER):
            old = self.chats.get(row["id"])
            if old is not None and old["log_head"] > row["log_head"]:
                continue
            new = row if old is None else _updated(old, row)
            customer_id = new["customer_id"]
            if customer_id not in customers:
                raise asyncpg.ForeignKeyViolationError("a chat of an unknown customer")
            open_now = open_chats.get(customer_id, self.open_chat_of.get(customer_id))
            if new["status"] != "ended":
                if open_now not in (None, new["id"]):
                    raise asyncpg.UniqueViolationError("this customer has an open chat")
                open_chats[customer_id] = new["id"]
            elif open_now == new["id"]:
                open_chats[customer_id] = None
            merged[new["id"]] = new
        return merged, open_chats

    def _put_customer(self, row: Columns) -> None:
        new = {name: row[name] for name in CustomerRow.__struct_fields__}
        old = self.customers.get(new["id"])
        if old is not None:
            new |= {name: old[name] for name in _KEPT_WHERE_UNSAID if new[name] is None}
            new |= {name: new[name] or old[name] for name in ("is_vip", "is_signed")}
            new |= {name: old[name] for name in ("sub", "is_guest")}
        self.customers[new["id"]] = new

    def _put(
        self,
        chats: dict[UUID, Columns],
        open_chats: dict[UUID, Any],
        messages: list[Columns],
        events: list[Columns],
    ) -> None:
        for chat_id, row in chats.items():
            if chat_id not in self.chats:
                self.chats_of.setdefault(row["customer_id"], []).append(chat_id)
            self.chats[chat_id] = row
        for customer_id, open_now in open_chats.items():
            self.open_chat_of.pop(customer_id, None)
            if open_now is not None:
                self.open_chat_of[customer_id] = open_now
        for message in messages:
            self.messages.setdefault(message["chat_id"], {})[message["seq"]] = message
            key = _sent_key(message)
            if key is not None:
                self.sent[key] = message
        for event in events:
            self.events.setdefault(event["chat_id"], {})[event["log_id"]] = event

    # --- reading ----------------------------------------------------------------------------------

    def head(self, chat_id: UUID) -> int:
        """The highest seq of the chat's messages; 0 without any."""
        return max(self.messages.get(chat_id, ()), default=0)

    def asked_seq(self, chat_id: UUID) -> int:
        """The customer's latest message; 0 without any."""
        messages = reversed(self.messages.get(chat_id, {}).values())
        return next((m["seq"] for m in messages if m["sender_type"] == "customer"), 0)

    def unseen_head(self, chat_id: UUID) -> int:
        """The lowest log_id of the chat's events where it is below 0, else 0."""
        return min(0, min(self.events.get(chat_id, ()), default=0))

    def chat_row(self, chat_id: UUID) -> Row:
        chat = self.chats[chat_id]
        customer = {**self.customers[chat["customer_id"]]}
        del customer["id"]
        heads = {
            "head_seq": self.head(chat_id),
            "asked_seq": self.asked_seq(chat_id),
            "unseen_head": self.unseen_head(chat_id),
        }
        return Row({**chat, **customer, **heads})

    def stirred_at(self, chat_id: UUID) -> datetime:
        """When anything happened in the chat that counts against its being silent."""
        row = self.chats[chat_id]
        last = self.messages.get(chat_id, {}).get(self.head(chat_id))
        said_at = last["created_at"] if last is not None else row["started_at"]
        return max(row["started_at"], row["taken_at"] or row["started_at"], said_at)

    def in_status(self, status: str) -> list[Columns]:
        return [row for row in self.chats.values() if row["status"] == status]


def _sent_key(message: Columns) -> tuple[UUID, UUID, str] | None:
    key, sender_id = message["client_message_id"], message["sender_id"]
    return None if key is None or sender_id is None else (message["chat_id"], sender_id, key)


def _updated(old: Columns, row: Columns) -> Columns:
    new = {**row, **{name: old[name] for name in _LASTING}}
    return {**new, **{name: max(old[name], row[name]) for name in _MARKS}}
