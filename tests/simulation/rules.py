"""The promises, each checked at the moment a commit is made or a frame leaves the server.

A chat's life is told again here by a table of its own: the program's rules are not asked.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec

from protocol.server import ChatStatus, MessageAck, NewMessage, ToWorkbench
from tests.simulation.tables import Columns, Tables

Violate = Callable[[str, str], None]

# kind: where it is allowed, and where it leads (None: stays)
LIFE: Final[dict[str, tuple[frozenset[str], str | None]]] = {
    "HumanCalled": (frozenset({"bot"}), "waiting"),
    "ReturnedToBot": (frozenset({"waiting"}), "bot"),
    "Taken": (frozenset({"waiting"}), "active"),
    "Released": (frozenset({"active"}), "bot"),
    "Requeued": (frozenset({"active"}), "waiting"),
    "Ended": (frozenset({"bot", "waiting", "active"}), "ended"),
    "Transferred": (frozenset({"active"}), None),
    "Rated": (frozenset({"ended"}), None),
    "NoteWritten": (frozenset({"bot", "waiting", "active", "ended"}), None),
}
SPEAKERS: Final = {
    "bot": {"customer", "ai", "system"},
    "waiting": {"customer", "system"},
    "active": {"customer", "agent", "system"},
    "ended": set[str](),
}


class Life:
    """One chat as its log tells it."""

    __slots__ = ("agent_id", "customer_id", "log_id", "seq", "status", "statuses", "takers")

    def __init__(self, customer_id: UUID) -> None:
        self.customer_id = customer_id
        self.status = "bot"
        self.agent_id: str | None = None
        self.seq = 0
        self.log_id = 0
        self.statuses = {"bot"}
        """Every status it ever had, durably."""
        self.takers: set[str] = set()


class Rules:
    """Fed with commits and frames; `violate(rule, sentence)` is called for what must not be."""

    def __init__(self, violate: Violate) -> None:
        self.lives: dict[UUID, Life] = {}
        self.order: dict[tuple[UUID, str], int] = {}
        """(sender, client_message_id) to its place in the order of durability."""
        self.tables: Tables
        self._violate = violate

    # --- commits ----------------------------------------------------------------------------------

    def committed(
        self, chats: list[Columns], messages: list[Columns], events: list[Columns]
    ) -> None:
        """What one statement made durable, all at once."""
        rows = {row["id"]: row for row in chats}
        touched = dict.fromkeys(
            [*(e["chat_id"] for e in events), *(m["chat_id"] for m in messages)]
        )
        for chat_id in touched:
            if chat_id not in self.lives:
                self.lives[chat_id] = Life(rows[chat_id]["customer_id"])
            life = self.lives[chat_id]
            stages = [(life.status, life.agent_id)]
            for event in events:
                if event["chat_id"] == chat_id:
                    self._live(life, event)
                    stages.append((life.status, life.agent_id))
            for message in messages:
                if message["chat_id"] == chat_id:
                    self._speak(life, message, stages)
            if chat_id in rows:
                self._compare(life, rows[chat_id])
        if events:
            self._count_places()

    def _live(self, life: Life, event: Columns) -> None:
        kind, chat_id = event["kind"], event["chat_id"]
        if event["log_id"] != life.log_id + 1:
            self._violate("I3", f"log of {chat_id}: {event['log_id']} after {life.log_id}")
        life.log_id = event["log_id"]
        if kind == "Opened":
            return
        allowed, leads_to = LIFE[kind]
        if life.status not in allowed:
            self._violate("I7", f"{kind} while {chat_id} was {life.status}")
        if not self._may(life, event):
            self._violate("I6", f"{kind} of {chat_id} by {event['by_name']}, who is not in charge")
        if kind in ("Taken", "Transferred"):
            agent_id = msgspec.json.decode(event["body"])["agent_id"]
            if agent_id == life.agent_id:
                self._violate("I6", f"{chat_id} was given to the agent who has it")
            life.agent_id = agent_id
            life.takers.add(agent_id)
        elif leads_to is not None:
            life.agent_id = None
        life.status = leads_to or life.status
        life.statuses.add(life.status)

    def _may(self, life: Life, event: Columns) -> bool:
        """Whether an agent may do this to a chat that another one has."""
        if event["by_type"] != "agent" or event["kind"] == "NoteWritten":
            return True
        is_supervisor = self.tables.agents[event["by_id"]]["role"] == "supervisor"
        return is_supervisor or life.agent_id in (None, str(event["by_id"]))

    def _speak(self, life: Life, message: Columns, stages: list[tuple[str, str | None]]) -> None:
        """Within one commit the order of words and events is not told: any stage may fit."""
        chat_id, sender_type = message["chat_id"], message["sender_type"]
        if message["seq"] != life.seq + 1:
            self._violate("I3", f"{chat_id}: seq {message['seq']} after {life.seq}")
        life.seq = message["seq"]
        fitting = [agent for status, agent in stages if sender_type in SPEAKERS[status]]
        if not fitting:
            rule = "I8" if sender_type == "ai" else "I7"
            self._violate(rule, f"{sender_type} spoke in {chat_id} while it was {stages[0][0]}")
        if sender_type == "agent" and str(message["sender_id"]) not in fitting:
            self._violate("I4", f"an agent spoke in {chat_id} without being in charge")
        if sender_type == "customer" and message["sender_id"] != life.customer_id:
            self._violate("I4", f"a stranger spoke in {chat_id}")
        if message["client_message_id"] is not None:
            key = (message["sender_id"], message["client_message_id"])
            if key in self.order:
                self._violate("I2", f"{key[1]} was written twice")
            self.order[key] = len(self.order)

    def _compare(self, life: Life, row: Columns) -> None:
        agent_id = str(row["agent_id"]) if life.status == "active" else None
        told = (row["status"], row["log_head"], agent_id)
        if told != (life.status, life.log_id, life.agent_id):
            self._violate("I7", f"the row of {row['id']} says {told}, its log something else")

    def _count_places(self) -> None:
        counts: dict[UUID, int] = {}
        for row in self.tables.chats.values():
            if row["status"] == "active":
                counts[row["agent_id"]] = counts.get(row["agent_id"], 0) + 1
        for agent_id, count in counts.items():
            limit = self.tables.agents[agent_id]["max_sessions"]
            if count > limit:
                self._violate("I10", f"{agent_id} has {count} chats and {limit} places")

    # --- frames -----------------------------------------------------------------------------------

    def left_the_server(self, frame: ToWorkbench) -> None:
        """Nothing that can still vanish may be seen."""
        match frame:
            case NewMessage(payload=seen) | MessageAck(payload=seen):
                stored = self.tables.messages.get(seen.chat_id, {}).get(seen.seq)
                if stored is None or stored["message_id"] != seen.message_id:
                    self._violate("I1", f"seq {seen.seq} of {seen.chat_id} was shown, not written")
            case ChatStatus(payload=state):
                life = self.lives.get(state.chat_id)
                if life is None or state.status not in life.statuses or state.last_seq > life.seq:
                    self._violate("I1", f"a status of {state.chat_id} was shown, not written")
            case _:
                pass

    def check_taken(self, agent_id: UUID, chat_id: UUID) -> None:
        """An agent was told that the chat is theirs."""
        life = self.lives.get(chat_id)
        if life is None or str(agent_id) not in life.takers:
            self._violate("I6", f"{agent_id} was told {chat_id} is theirs; the log knows nothing")


def words(frame: Any) -> str:
    """A frame's type, for the history."""
    tag: str = frame.__struct_config__.tag
    return tag
