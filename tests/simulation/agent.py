"""Agents on their workbench: they race for the queue, answer, pass chats on, ask each other for
help, and take over."""

from typing import Any, Final
from uuid import UUID, uuid5

from msgspec.structs import replace

from protocol.codes import ErrorCode
from protocol.server import (
    AgentStatus,
    AssistRequest,
    ChatState,
    ChatStatus,
    Error,
    NoteAdded,
    QueueSnapshot,
    QueueState,
    QueueUpdate,
    Read,
    TransferRequest,
    TypingShown,
    Whispered,
)
from tests.simulation.chat_copy import ChatCopy
from tests.simulation.client import Client, Sending
from tests.simulation.customer import NOBODY
from tests.simulation.rules import words

ASK_AGAIN_S: Final = 2.0
STATUSES: Final = ("online", "busy", "break", "offline", "online", "online")


def agent_id(number: int) -> UUID:
    return uuid5(NOBODY, f"agent {number}")


class Feed:
    """The list as this agent folded it from a snapshot and what came after."""

    def __init__(self, snapshot: QueueState) -> None:
        self.feed_id = snapshot.feed_id
        self.feed_seq = snapshot.feed_seq
        self.waiting = {item.chat_id: item for item in snapshot.waiting}
        self.agents = {agent.agent_id: agent for agent in snapshot.agents}
        self.order = [item.chat_id for item in snapshot.waiting]

    @property
    def point(self) -> tuple[str, int]:
        return (self.feed_id, self.feed_seq)

    def differs(self, other: "Feed") -> bool:
        return self.waiting != other.waiting or self.agents != other.agents


class Agent(Client):
    path = "/ws/workbench"

    def __init__(self, world: Any, number: int) -> None:
        super().__init__(world, f"agent-{number}", agent_id(number), f"a{number}")
        self.feed: Feed | None = None
        self.refused_for_capacity = 0
        self._offers: list[UUID] = []
        self._asked_for: UUID | None = None
        """The chat asked for last."""
        self._fresh = False
        self._replay: tuple[str, int] | None = None
        self._heard: dict[tuple[str, int], Any] = {}
        self._asides: set[tuple[UUID, int]] = set()
        """What colleagues said for the staff alone, as shown on the present connection."""
        self._last_heard: tuple[str, int] | None = None
        self._asked_feed_on: Any = None
        """The link on which the list was asked for lately."""

    def is_mine(self, state: ChatState) -> bool:
        is_named = state.agent is not None and state.agent.id == self.person_id
        return is_named and state.status == "active"

    def follows(self, state: ChatState) -> bool:
        return self.is_mine(state)

    @property
    def chats(self) -> list[ChatCopy]:
        """Those in this agent's charge."""
        followed = [copy for copy in self.copies.values() if copy.is_followed]
        return [copy for copy in followed if copy.state and self.is_mine(copy.state)]

    # --- hearing ----------------------------------------------------------------------------------

    def connect(self) -> None:
        self._fresh = False
        self._replay = None
        self._asides.clear()
        super().connect()

    def hear(self, frame: Any) -> None:
        match frame:
            case QueueSnapshot(payload=snapshot):
                self._take_snapshot(Feed(snapshot))
                self._grab()
            case QueueUpdate(payload=change):
                self._take_change(frame, change.feed_id, change.feed_seq)
            case AgentStatus(payload=change):
                self._take_change(frame, change.feed_id, change.feed_seq)
            case TransferRequest(payload=offer):
                self._offers.append(offer.request_id)
            case AssistRequest(payload=call) if frame.reply_to is None:
                self._help(call.chat_id)
            case TypingShown() | Read() | NoteAdded() | Whispered() if frame.reply_to is None:
                self._overhear(frame)
                if isinstance(frame, NoteAdded | Whispered):
                    self._take_aside(frame.payload.chat_id, frame.payload.log_id)
            case _:
                pass

    def _overhear(self, frame: Any) -> None:
        """What comes of a chat comes because it is followed, and never before its status."""
        chat_id = frame.payload.chat_id
        if not self.expects(chat_id):
            self.world.violate("I4", f"{self.name} heard {words(frame)} of {chat_id}")

    def _take_aside(self, chat_id: UUID, log_id: int) -> None:
        if (chat_id, log_id) in self._asides:
            self.world.violate("I2", f"{self.name} was shown {log_id} of {chat_id} twice")
        self._asides.add((chat_id, log_id))

    def expects(self, chat_id: UUID) -> bool:
        return chat_id in self.copies and self.copies[chat_id].is_followed

    def _help(self, chat_id: UUID) -> None:
        """Read what it is about, and leave a note."""
        self.note("hear", "assist_request", chat_id)
        if self.random.random() < 0.5:
            self.resume(self._copy(chat_id))
        self.say("add_note", {"chat_id": chat_id, "content": self._aside(chat_id)})

    def _aside(self, chat_id: UUID) -> str:
        """What no customer may see, not even this chat's own."""
        return f"{self.world.secret()} {self.world.canary_of(chat_id)}"

    def _take_snapshot(self, fresh: Feed) -> None:
        self.note("hear", "queue_snapshot", fresh.feed_seq)
        old = self.feed
        if self._fresh and old is not None and old.feed_id == fresh.feed_id:
            has_missed = fresh.feed_seq > old.feed_seq and self.world.node_count > 1
            if not has_missed and (old.feed_seq != fresh.feed_seq or old.differs(fresh)):
                self.world.violate("I13", f"{self.name}: the list it folded is not the fresh one")
        self.feed, self._fresh = fresh, True

    def _take_change(self, frame: Any, feed_id: str, feed_seq: int) -> None:
        self.note("hear", words(frame), feed_seq, frame.reply_to)
        feed = self.feed
        if frame.reply_to is not None:
            self._take_replayed(frame, feed_id, feed_seq)
            return
        self._heard[feed_id, feed_seq] = frame
        self._last_heard = (feed_id, feed_seq)
        if not self._fresh or feed is None:
            return
        if feed_id != feed.feed_id:  # the numbers began anew: only a snapshot helps
            self._ask_missing(feed)
        elif feed_seq == feed.feed_seq + 1:
            self._fold(feed, frame)
        elif self.world.node_count == 1:  # nothing gets lost on the way there
            self.world.violate("I13", f"{self.name}: feed {feed_seq} after {feed.feed_seq}")
        elif feed_seq > feed.feed_seq:
            self._ask_missing(feed)

    def _ask_missing(self, feed: Feed) -> None:
        """There is a hole, or another list: as the workbench does, ask for what is missing.

        Where that is nothing, nothing comes.
        """
        if self._asked_feed_on is self.link:
            return
        self._asked_feed_on = self.link
        payload = {"feed_id": feed.feed_id, "last_feed_seq": feed.feed_seq}
        self.say("subscribe_queue", payload, is_answered=False)
        self._replay = (self.last_frame_id, feed.feed_seq + 1)
        self.world.later(ASK_AGAIN_S, self._ask_again, self.link)

    def _ask_again(self, link: Any) -> None:
        feed, last = self.feed, self._last_heard
        if feed is None or last is None or link is not self.link:
            return
        self._asked_feed_on = None
        if feed.feed_id != last[0] or feed.feed_seq < last[1]:
            self._ask_missing(feed)

    def _fold(self, feed: Feed, frame: Any) -> None:
        feed.feed_seq = frame.payload.feed_seq
        if isinstance(frame, AgentStatus):
            feed.agents[frame.payload.agent.agent_id] = frame.payload.agent
        elif frame.payload.item is not None:
            feed.waiting[frame.payload.chat_id] = frame.payload.item
        else:
            feed.waiting.pop(frame.payload.chat_id, None)

    def _take_replayed(self, frame: Any, feed_id: str, feed_seq: int) -> None:
        if self._replay is None or self._replay[0] != frame.reply_to:
            return
        expected = self._replay[1]
        heard = self._heard.get((feed_id, feed_seq))
        # between instances the question may be put, and answered, twice
        is_out_of_turn = feed_seq != expected and self.world.node_count == 1
        if is_out_of_turn or (heard is not None and heard != replace(frame, reply_to=None)):
            self.world.violate("I14", f"{self.name}: the feed went on at {feed_seq}")
        self._replay = (frame.reply_to, feed_seq + 1)
        feed = self.feed
        if feed is not None and self._fresh and (feed_id, feed_seq - 1) == feed.point:
            self._fold(feed, frame)

    def refused(self, sending: Sending) -> None:
        """Whoever is in charge may speak, also while the chat is being passed on."""
        chat_id = sending.payload["chat_id"]
        is_mine = sending.charge is not None and sending.charge[:2] == (
            "active",
            str(self.person_id),
        )
        if is_mine and self.world.rules.charge_of(chat_id) == sending.charge:
            told = f"{self.name} has {chat_id} and may not speak there: {sending.refused}"
            self.world.violate("I16", told)

    # --- acting -----------------------------------------------------------------------------------

    def act(self) -> None:
        if self.world.is_calm:
            if self.world.is_tidying:
                self._accept_fairly()
            return
        if self._offers and self.random.random() < 0.5:
            answer = {"request_id": self._offers.pop(0), "accept": self.random.random() < 0.7}
            self.say("respond_transfer", answer)
        elif self.feed is not None and self.feed.waiting and self._wants_more():
            self._accept(self.random.choice(list(self.feed.waiting)[:3]))
        elif self.chats and self.random.random() < 0.85:
            self._serve(self.random.choice(self.chats), self.random.random())
        else:
            self._look_around(self.random.random())

    def _wants_more(self) -> bool:
        is_idle = self.world.cluster_climate.is_scarce and not self.chats
        return self.random.random() < (0.9 if is_idle else 0.4)

    def _grab(self) -> None:
        """Where places are scarce, who comes back with none of theirs takes one at once, and not
        the one they asked for before: nobody can tell them yet what became of that."""
        climate, feed = self.world.cluster_climate, self.feed
        is_eager = climate.is_scarce and not (self.chats or self.world.is_calm or self.asked)
        if is_eager and feed is not None:
            others = [chat_id for chat_id in feed.waiting if chat_id != self._asked_for]
            if others:
                self._accept(self.random.choice(others))

    def _serve(self, chat: ChatCopy, chance: float) -> None:
        named = {"chat_id": chat.chat_id}
        canary = self.world.canary_of(chat.chat_id)
        if chance < 0.60:
            for _ in range(self.random.choice((1, 1, 2))):
                self.send(f"{self.name} {len(self.sendings) + 1} {canary}", chat.chat_id)
        elif chance < 0.66:
            self.say("add_note", {**named, "content": self._aside(chat.chat_id)})
        elif chance < 0.72:
            self.say("mark_read", {**named, "seq": chat.have}, is_answered=False)
        elif chance < 0.76:
            self.say("typing", {**named, "is_typing": True}, is_answered=False)
        elif chance < 0.80:
            to = self.random.choice(self.world.agent_ids)
            asked = {**named, "to_agent_id": to, "question": self._aside(chat.chat_id)}
            self.say("request_assist", asked)
        elif chance < 0.87:
            self._transfer(chat)
        elif chance < 0.90:
            self.say("release_chat", named)
        elif chance < 0.96:
            self.say("end_chat", named)
        else:
            self.resume(chat)

    def _transfer(self, chat: ChatCopy) -> None:
        to = self.random.choice(self.world.agent_ids)
        offer = self.random.random() < 0.3
        payload = {
            "chat_id": chat.chat_id,
            "to_agent_id": to,
            "offer": offer,
            "reason": self.world.secret(),
            "note": self._aside(chat.chat_id),
        }
        self.say("transfer_chat", payload)
        if self.random.random() < 0.5:  # a last word, that may come too late
            canary = self.world.canary_of(chat.chat_id)
            self.send(f"{self.name} {len(self.sendings) + 1} {canary}", chat.chat_id)

    def _look_around(self, chance: float) -> None:
        if chance < 0.35:
            chat_id = self.world.some_chat_not_of(self.person_id, self.random)
            if chat_id is not None:
                taken = self._taken(chat_id)
                self.say("take_over_chat", {"chat_id": chat_id}, then=taken)
        elif chance < 0.45:
            status = {"status": self.random.choice(STATUSES), "note": self.world.secret()}
            self.say("set_status", status, is_answered=False)
        elif chance < 0.6:
            self.say("subscribe_queue", {})
        elif chance < 0.8 and self.feed is not None and self._fresh:
            self._resume_feed(self.feed)
        elif chance < 0.83:
            self.reconnect()

    def _resume_feed(self, feed: Feed) -> None:
        after = max(0, feed.feed_seq - self.random.randint(0, 5))
        payload = {"feed_id": feed.feed_id, "last_feed_seq": after}
        self.say("subscribe_queue", payload, is_answered=False)
        self._replay = (self.last_frame_id, after + 1)

    def _accept(self, chat_id: UUID) -> None:
        self._asked_for = chat_id
        self.say("accept_chat", {"chat_id": chat_id}, then=self._taken(chat_id))
        self.world.storms.accepting(self, chat_id)

    def _taken(self, chat_id: UUID) -> Any:
        def then(frame: Any) -> None:
            if isinstance(frame, ChatStatus):
                self.note("ok", "accept_chat", chat_id)
                self.world.rules.check_taken(self.person_id, chat_id)

        return then

    def _accept_fairly(self) -> None:
        """After the faults: a place that is free can be used."""
        held, limit = self.world.places_of(self.person_id)
        if self.feed is None or not self.feed.waiting or held >= limit or self.asked:
            return
        chat_id = next(iter(self.feed.waiting))

        def then(frame: Any) -> None:
            if isinstance(frame, Error) and frame.payload.code is ErrorCode.AGENT_AT_CAPACITY:
                text = f"{self.name} has {held} of {limit} chats and is told to be full"
                self.world.violate("I9", text)

        self.say("accept_chat", {"chat_id": chat_id}, then=then)
