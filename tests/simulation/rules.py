"""The promises, each checked at the moment a commit is made or a frame leaves the server.

A chat's life is told again here by a table of its own: the program's rules are not asked.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from protocol.server import (
    AssistRequest,
    ChatStatus,
    ChatWatch,
    MessageAck,
    NewMessage,
    NoteAdded,
    Read,
    ToCustomer,
    ToWorkbench,
    TypingShown,
    Whispered,
)
from tests.simulation.instance import SILENT_S
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
    "Whispered": (frozenset({"active"}), None),
    "AssistAsked": (frozenset({"bot", "waiting", "active"}), None),
    "BotAnswered": (frozenset({"bot"}), None),
    "AskedAfterHours": (frozenset({"bot"}), None),
    "RemindedOfHours": (frozenset({"bot"}), None),
    "EmailLeft": (frozenset({"bot", "waiting"}), None),
    "Watched": (frozenset({"bot", "waiting", "active"}), None),
    "Unwatched": (frozenset({"bot", "waiting", "active", "ended"}), None),
}
UNSEEN: Final = {"Watched", "Unwatched"}
SPEAKERS: Final = {
    "bot": {"customer", "ai", "system"},
    "waiting": {"customer", "system"},
    "active": {"customer", "agent", "system"},
    "ended": set[str](),
}


class Life:
    """One chat as its log tells it."""

    __slots__ = (
        *("agent_id", "customer_id", "log_id", "seq", "status", "statuses", "stirred_at"),
        *("takers", "helpers", "unseen_id", "watchers", "epoch", "change_count"),
    )

    def __init__(self, customer_id: UUID) -> None:
        self.customer_id = customer_id
        self.status = "bot"
        self.agent_id: str | None = None
        self.seq = 0
        self.log_id = 0
        self.statuses = {"bot"}
        """Every status it ever had, durably."""
        self.takers: set[str] = set()
        self.helpers: set[str] = set()
        self.watchers: set[str] = set()
        self.unseen_id = 0
        self.epoch = 0
        self.change_count = 0
        """How often whoever is in charge changed, or the status."""
        self.stirred_at: Any = None
        """When a word, the start or an agent came last."""


class Rules:
    """Fed with commits and frames; `violate(rule, sentence)` is called for what must not be."""

    def __init__(self, violate: Violate) -> None:
        self.lives: dict[UUID, Life] = {}
        self.order: dict[tuple[UUID, str], int] = {}
        """(sender, client_message_id) to its place in the order of durability."""
        self.tables: Tables
        self._violate = violate
        self._claimants: dict[tuple[int, int], str] = {}
        """(slot, epoch) to whoever raised the epoch to that."""

    # --- commits ----------------------------------------------------------------------------------

    def claimed(self, slots: Sequence[int], instance: str) -> None:
        """The epochs of these slots were raised by that instance."""
        for slot in slots:
            self._claimants[slot, self.tables.epochs[slot]] = instance

    def _check_owner(self, life: Life, row: Columns) -> None:
        """Each epoch has one writer, and who was replaced writes no more."""
        slot, epoch, writer = row["slot"], row["epoch"], self.tables.writer
        if epoch != self.tables.epochs[slot]:
            self._violate("I5", f"{writer} wrote under epoch {epoch} of slot {slot}, which is over")
        claimant = self._claimants.get((slot, epoch))
        if claimant != writer:
            self._violate("I5", f"{writer} wrote under epoch {epoch} of {slot}, of {claimant}")
        if epoch < life.epoch:
            self._violate("I5", f"{row['chat_id']}: epoch {epoch} after {life.epoch}")
        life.epoch = epoch

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
        self._check_owner(life, event)
        if kind in UNSEEN:
            expected = life.unseen_id = life.unseen_id - 1
        else:
            expected = life.log_id = life.log_id + 1
        if event["log_id"] != expected:
            self._violate("I3", f"log of {chat_id}: {event['log_id']} instead of {expected}")
        if kind == "Opened":
            life.stirred_at = event["created_at"]
            return
        allowed, leads_to = LIFE[kind]
        if life.status not in allowed:
            self._violate("I7", f"{kind} while {chat_id} was {life.status}")
        if not self._may(life, event):
            self._violate("I6", f"{kind} of {chat_id} by {event['by_name']}, who is not in charge")
        if event["reason"] == "silent":
            self._check_silence(life, event)
        if kind == "AssistAsked":
            life.helpers.add(msgspec.json.decode(event["body"])["agent_id"])
            life.helpers.add(str(event["by_id"]))
        elif kind == "Watched":
            life.watchers.add(str(event["by_id"]))
        elif kind in ("Taken", "Transferred"):
            life.stirred_at = event["created_at"]
            agent_id = msgspec.json.decode(event["body"])["agent_id"]
            if agent_id == life.agent_id:
                self._violate("I6", f"{chat_id} was given to the agent who has it")
            life.agent_id = agent_id
            life.takers.add(agent_id)
        elif leads_to is not None:
            life.agent_id = None
        if kind in LIFE and (leads_to is not None or kind == "Transferred"):
            life.change_count += 1
        life.status = leads_to or life.status
        life.statuses.add(life.status)

    def _may(self, life: Life, event: Columns) -> bool:
        """Whether an agent may do this to a chat that another one has."""
        if event["by_type"] != "agent" or event["kind"] == "NoteWritten":
            return True
        is_supervisor = self.tables.agents[event["by_id"]]["role"] == "supervisor"
        if event["kind"] in ("Whispered", *UNSEEN):
            return is_supervisor
        is_its_agent = life.agent_id == str(event["by_id"])
        is_free = life.agent_id is None and event["kind"] != "AssistAsked"
        return is_supervisor or is_its_agent or is_free

    def _check_silence(self, life: Life, event: Columns) -> None:
        silent_s = (event["created_at"] - life.stirred_at).total_seconds()
        if life.status == "waiting" or silent_s < SILENT_S:
            told = f"{life.status}, {silent_s:.1f} s after the last word"
            self._violate("I7", f"{event['chat_id']} was ended as silent: {told}")

    def _speak(self, life: Life, message: Columns, stages: list[tuple[str, str | None]]) -> None:
        """Within one commit the order of words and events is not told: any stage may fit."""
        chat_id, sender_type = message["chat_id"], message["sender_type"]
        self._check_owner(life, message)
        if message["seq"] != life.seq + 1:
            self._violate("I3", f"{chat_id}: seq {message['seq']} after {life.seq}")
        life.seq = message["seq"]
        life.stirred_at = message["created_at"]
        fitting = [agent for status, agent in stages if sender_type in SPEAKERS[status]]
        if not fitting:
            rule = "I8" if sender_type == "ai" else "I7"
            self._violate(rule, f"{sender_type} spoke in {chat_id} while it was {stages[0][0]}")
        if sender_type == "agent" and str(message["sender_id"]) not in fitting:
            was_theirs = str(message["sender_id"]) in life.takers
            told = f"an agent spoke in {chat_id} without being in charge"
            self._violate("I16" if was_theirs else "I4", told)
        if sender_type == "customer" and message["sender_id"] != life.customer_id:
            self._violate("I4", f"a stranger spoke in {chat_id}")
        if message["client_message_id"] is not None:
            is_kefus = sender_type in ("ai", "system")
            sender = chat_id if is_kefus else message["sender_id"]
            key = (sender, message["client_message_id"])
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

    def shown_to_customer(self, frame: ToWorkbench) -> None:
        if not isinstance(frame, ToCustomer):
            self._violate("I4", f"a customer was sent {words(frame)}")

    def shown_to_agent(self, agent_id: UUID, frame: ToWorkbench) -> None:
        """Only of chats that are or were theirs, that they were asked about, or that they watch,
        and by the log."""
        id = str(agent_id)
        match frame:
            case ChatWatch(payload=watch):
                is_supervisor = self.tables.agents[agent_id]["role"] == "supervisor"
                is_known = not watch.is_watching or id in self.lives[watch.chat_id].watchers
                if not (is_supervisor and is_known):
                    self._violate("I4", f"{agent_id} heard of a watch of {watch.chat_id}")
            case NoteAdded(payload=seen) | Whispered(payload=seen):
                if seen.log_id <= 0:
                    self._violate("I4", f"an unseen place of the log, {seen.log_id}, was shown")
                if seen.agent_id != agent_id:
                    self._check_knows(id, frame, seen.chat_id)
            case NewMessage() | ChatStatus() | TypingShown() | Read() | AssistRequest():
                self._check_knows(id, frame, frame.payload.chat_id)
            case _:
                pass

    def _check_knows(self, agent_id: str, frame: ToWorkbench, chat_id: UUID) -> None:
        life = self.lives[chat_id]
        if agent_id not in life.takers | life.helpers | life.watchers:
            self._violate("I4", f"{agent_id} was sent {words(frame)} of {chat_id}")

    def charge_of(self, chat_id: UUID | None) -> tuple[str, str | None, int] | None:
        """Status, agent in charge and how often that changed; None for an unknown chat."""
        life = self.lives.get(chat_id) if chat_id is not None else None
        return None if life is None else (life.status, life.agent_id, life.change_count)

    def check_taken(self, agent_id: UUID, chat_id: UUID) -> None:
        """An agent was told that the chat is theirs."""
        life = self.lives.get(chat_id)
        if life is None or str(agent_id) not in life.takers:
            self._violate("I6", f"{agent_id} was told {chat_id} is theirs; the log knows nothing")


def words(frame: Any) -> str:
    """A frame's type, for the history."""
    tag: str = frame.__struct_config__.tag
    return tag
