"""Every statement kefu sends while it runs, by its own text, with what the model does for it."""

from collections.abc import Callable, Sequence
from typing import Any

from kefu.agents import store as agents
from kefu.cluster import store as cluster
from kefu.conversations import store as conversations
from kefu.storage import journal_sql
from tests.simulation.tables import Columns, Row, Tables

Statement = Callable[[Tables, Sequence[Any]], list[Row]]


def _claim(tables: Tables, args: Sequence[Any]) -> list[Row]:
    slots, instance = args
    return _raise_epochs(tables, slots, instance)


def _renew(tables: Tables, args: Sequence[Any]) -> list[Row]:
    slots, epochs, instance = args
    held = zip(slots, epochs, strict=True)
    still = [slot for slot, epoch in held if tables.epochs[slot] == epoch]
    return _raise_epochs(tables, still, instance)


def _raise_epochs(tables: Tables, slots: Sequence[int], instance: str) -> list[Row]:
    for slot in slots:
        tables.epochs[slot] += 1
    tables.on_claim(slots, instance)
    return [Row({"slot": slot, "epoch": tables.epochs[slot]}) for slot in slots]


def _find_messages(tables: Tables, args: Sequence[Any]) -> list[Row]:
    places = zip(args[0], args[1], strict=True)
    found = (tables.messages.get(chat_id, {}).get(seq) for chat_id, seq in places)
    return [Row({"message_id": row["message_id"]}) for row in found if row is not None]


def _find_events(tables: Tables, args: Sequence[Any]) -> list[Row]:
    places = zip(args[0], args[1], strict=True)
    found = (tables.events.get(chat_id, {}).get(log_id) for chat_id, log_id in places)
    names = ("chat_id", "log_id", "created_at")
    return [Row({name: row[name] for name in names}) for row in found if row is not None]


def _latest(tables: Tables, args: Sequence[Any]) -> list[Row]:
    ids = tables.chats_of.get(args[0], ())
    if not ids:
        return []
    chats = tables.chats
    last = max(ids, key=lambda id: (chats[id]["status"] != "ended", chats[id]["started_at"], id))
    return [tables.chat_row(last)]


def _one(tables: Tables, args: Sequence[Any]) -> list[Row]:
    return [tables.chat_row(args[0])] if args[0] in tables.chats else []


def _waiting(tables: Tables, args: Sequence[Any]) -> list[Row]:
    rows = sorted(tables.in_status("waiting"), key=lambda row: row["waiting_since"])
    return [tables.chat_row(row["id"]) for row in rows]


def _active(tables: Tables, args: Sequence[Any]) -> list[Row]:
    rows = (row for row in tables.in_status("active") if row["agent_id"] == args[0])
    return [Row({"id": row["id"], "customer_id": row["customer_id"]}) for row in rows]


def _busy(tables: Tables, args: Sequence[Any]) -> list[Row]:
    ids = sorted({row["agent_id"] for row in tables.in_status("active")})
    return [Row({"agent_id": id}) for id in ids]


def _silent(tables: Tables, args: Sequence[Any]) -> list[Row]:
    since, after, limit = args
    rows = [
        row
        for row in (*tables.in_status("bot"), *tables.in_status("active"))
        if row["id"] > after and tables.stirred_at(row["id"]) < since
    ]
    rows.sort(key=lambda row: row["id"])
    names = ("id", "customer_id", "log_head")
    return [
        Row({"seq": tables.head(row["id"]), **{name: row[name] for name in names}})
        for row in rows[:limit]
    ]


def _heads(tables: Tables, args: Sequence[Any]) -> list[Row]:
    customers, agents, ids = map(set, args)
    names = ("id", "customer_id", "agent_id", "status")
    return [
        Row({**{name: row[name] for name in names}, **_stand(tables, row)})
        for row in tables.chats.values()
        if (row["customer_id"] in customers and row["status"] != "ended")
        or (row["agent_id"] in agents and row["status"] == "active")
        or (row["id"] in ids and row["status"] != "ended")
    ]


def _stand(tables: Tables, row: Columns) -> Columns:
    is_asked = tables.asked_seq(row["id"]) > row["answered_seq"]
    is_unanswered = row["status"] == "bot" and is_asked
    return {"seq": tables.head(row["id"]), "is_unanswered": is_unanswered}


def _owner(tables: Tables, args: Sequence[Any]) -> list[Row]:
    chat = tables.chats.get(args[0])
    return [] if chat is None else [Row({"customer_id": chat["customer_id"]})]


def _recent_keys(tables: Tables, args: Sequence[Any]) -> list[Row]:
    customer_id, limit = args
    ids = tables.chats_of.get(customer_id, ())
    newest = sorted(ids, key=lambda id: tables.chats[id]["started_at"], reverse=True)
    found = [
        message
        for chat_id in newest
        for _, message in reversed(tables.messages.get(chat_id, {}).items())
        if message["client_message_id"] is not None
    ]
    return [Row(message) for message in found[:limit]]


def _sent(tables: Tables, args: Sequence[Any]) -> list[Row]:
    chat_id, sender_id, key = args
    message = tables.sent.get((chat_id, sender_id, key))
    return [] if message is None else [Row(message)]


def _between(tables: Tables, args: Sequence[Any]) -> list[Row]:
    chat_id, after, until, limit = args
    messages = tables.messages.get(chat_id, {})
    found = [messages[seq] for seq in range(after + 1, until + 1) if seq in messages]
    return [Row(message) for message in found[:limit]]


def _find_agent(tables: Tables, args: Sequence[Any]) -> list[Row]:
    agent = tables.agents.get(args[0])
    return [] if agent is None else [Row(agent)]


def _save_status(tables: Tables, args: Sequence[Any]) -> list[Row]:
    agent_id, status, note = args
    old = tables.agents.get(agent_id)
    if old is None:
        return []
    tables.agents[agent_id] = {**old, "status": status, "status_note": note}
    return [Row({name: old[name] for name in ("name", "status", "status_note")})]


STATEMENTS: dict[str, Statement] = {
    cluster.CLAIM: _claim,
    cluster.RENEW: _renew,
    journal_sql.WRITE: Tables.write,
    journal_sql.FIND_MESSAGES: _find_messages,
    journal_sql.FIND_EVENTS: _find_events,
    conversations.LATEST_CHAT: _latest,
    conversations.ONE_CHAT: _one,
    conversations.WAITING_CHATS: _waiting,
    conversations.ACTIVE_CHATS: _active,
    conversations.BUSY_AGENTS: _busy,
    conversations.SILENT_CHATS: _silent,
    conversations.HEADS: _heads,
    conversations.CHAT_OWNER: _owner,
    conversations.RECENT_KEYS: _recent_keys,
    conversations.SENT_UNDER_KEY: _sent,
    conversations.MESSAGES_BETWEEN: _between,
    agents.FIND_AGENT: _find_agent,
    agents.SAVE_STATUS: _save_status,
}
WRITES = {journal_sql.WRITE}
