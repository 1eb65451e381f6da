"""The queue: who waits for a human, in which order, and the feed that shows it to the agents.

It is a picture of what the conversations made durable. It reads it from the store when it comes to
life and again at every reconciliation, so that a message it never got strands nobody. Who is there
it has the agents' actors tell it; in the automatic modes it offers them the waiting chats.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from actors import Actor
from kefu.agents import messages as agents
from kefu.clock import Clock
from kefu.conversations import messages as conversations
from kefu.delivery import WORKBENCH, Origin, Publisher, agent_topic
from kefu.dispatch import messages
from kefu.dispatch.assignment import Assignment, AutomaticMode, Offer
from kefu.dispatch.feed import Feed, FeedFrame
from kefu.dispatch.messages import QueueMessage, Waiting
from kefu.dispatch.queue import in_order, position, priority
from kefu.dispatch.waits import Waits
from kefu.entropy import Entropy
from kefu.instants import instant
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ERRORS, ErrorCode
from protocol.server import (
    AgentPresence,
    AgentStatus,
    ChatOffer,
    Error,
    Fault,
    PresenceChange,
    QueueChange,
    QueueItem,
    QueueSnapshot,
    QueueState,
    QueueUpdate,
)
from protocol.server import Offer as OfferShown

TICK_S: Final = 1.0
RECONCILE_EVERY_TICKS: Final = 15
ChangeName = Literal["added", "changed", "removed"]


async def nobody() -> list[UUID]:
    return []


class World(Struct, frozen=True):
    """`load_waiting` reads every waiting chat from the store, `load_busy` who is in charge of one,
    `agents_here` says who is connected.

    In the manual mode nobody is offered anything. An offer stands for `offer_s`. `on_stranded` is
    told once a tick how many were left waiting though somebody free could have been offered them.
    """

    load_waiting: Callable[[], Awaitable[list[Waiting]]]
    publisher: Publisher
    clock: Clock
    entropy: Entropy
    agents_here: Callable[[], Iterable[UUID]]
    mode: Literal["manual"] | AutomaticMode = "manual"
    offer_s: float = 30.0
    on_stranded: Callable[[int], None] = lambda _count: None
    load_busy: Callable[[], Awaitable[list[UUID]]] = nobody


class QueueActor(Actor[QueueMessage]):
    mailbox_limit = 65_536
    idle_timeout_s = None

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[UUID, Waiting] = {}
        self._shown: dict[UUID, QueueItem] = {}
        """The waiting chats as the feed showed them last."""
        self._position_told: dict[UUID, tuple[int, tuple[int, int] | None]] = {}
        self._waits = Waits()
        self._agents: dict[UUID, AgentPresence] = {}
        self._feed = Feed(str(world.entropy.uuid()))
        self._assignment: Assignment | None = None
        if world.mode != "manual":
            self._assignment = Assignment(world.mode, world.offer_s)
        self._is_loaded = False
        self._ticks = 0

    async def on_activate(self) -> None:
        """What cannot be read now is read at the next tick, and the feed says so then."""
        await self._reconcile()
        self._ask(self._world.agents_here())
        self.context.remind("tick", TICK_S, messages.Tick())

    async def receive(self, message: QueueMessage) -> object:
        match message:
            case messages.Enqueue(waiting=waiting):
                self._put(waiting)
                self._position_told.pop(waiting.chat_id, None)
                self._assign()
                return position(waiting, self._waiting.values(), self._now())
            case messages.Dequeue(chat_id=chat_id, is_taken=is_taken):
                if is_taken and chat_id in self._waiting:
                    self._waits.note_taken(self._world.clock.monotonic())
                self._take_out(chat_id)
                self._assign()
            case messages.PresenceChanged(agent=agent, reserved=reserved):
                self._note_presence(agent, reserved)
                self._assign()
            case messages.ListPresence():
                return tuple(self._agents.values())
            case messages.SubscribeFeed():
                self._subscribe(message)
            case messages.DeclineOffer():
                self._decline(message)
                self._assign()
            case messages.Tick():
                await self._tick()
        return None

    def _put(self, waiting: Waiting) -> None:
        known = self._waiting.get(waiting.chat_id)
        if known is not None and known.team_id != waiting.team_id and self._assignment is not None:
            self._assignment.forget(waiting.chat_id)  # it is for others now
        self._waiting[waiting.chat_id] = waiting
        self._show(waiting)

    def _take_out(self, chat_id: UUID) -> None:
        self._position_told.pop(chat_id, None)
        if self._waiting.pop(chat_id, None) is not None:
            del self._shown[chat_id]
            if self._assignment is not None:
                self._assignment.forget(chat_id)
            self._tell("removed", chat_id, None)

    async def _tick(self) -> None:
        self.context.remind("tick", TICK_S, messages.Tick())
        self._ticks += 1
        self._elapse()
        if not self._is_loaded or self._ticks % RECONCILE_EVERY_TICKS == 0:
            await self._reconcile()
        self._assign()
        self._show_priorities()
        self._tell_positions()

    async def _reconcile(self) -> None:
        """What conversations tell always comes after their commit, so the store is never behind:
        what it does not show waiting has left, and a Dequeue on its way finds nothing to do."""
        try:
            stored = {waiting.chat_id: waiting for waiting in await self._world.load_waiting()}
            busy = await self._world.load_busy()
        except StoreUnavailable:
            return
        for chat_id in self._waiting.keys() - stored.keys():
            self._take_out(chat_id)
        for waiting in stored.values():
            self._put(waiting)
        self._is_loaded = True
        self._wake(busy)
        # a conversation may have been unable to take its place in: one that has it says nothing
        self._position_told.clear()

    def _wake(self, busy: list[UUID]) -> None:
        """An agent's actor may have gone down with its instance: whoever is thought to be there, or
        has chats, is asked, so that nobody's chats wait for an agent nobody watches over."""
        seeming = (id for id, agent in self._agents.items() if agent.status != "offline")
        self._ask(dict.fromkeys((*busy, *seeming)))

    def _ask(self, agent_ids: Iterable[UUID]) -> None:
        """Their answers would wake a queue that is leaving, which would ask again, and so on."""
        if self.context.is_draining:
            return
        for agent_id in agent_ids:
            self.context.ref(agents.KIND, str(agent_id)).tell(agents.TellPresence())

    def _tell_positions(self) -> None:
        """Once a tick, and only to those whose place changed."""
        now = self._world.clock.monotonic()
        for place, one in enumerate(in_order(self._waiting.values(), self._now()), start=1):
            told = (place, self._waits.band(place, now))
            if self._position_told.get(one.chat_id) != told:
                conversation = self.context.ref(conversations.KIND, str(one.customer_id))
                if conversation.tell(conversations.QueueMoved(one.chat_id, *told)):
                    self._position_told[one.chat_id] = told

    # --- the feed ---------------------------------------------------------------------------------

    def _show(self, waiting: Waiting) -> None:
        """Let the feed say how the chat waits, where that is news."""
        item, shown = self._item(waiting), self._shown.get(waiting.chat_id)
        if item != shown:
            self._shown[waiting.chat_id] = item
            self._tell("changed" if shown else "added", waiting.chat_id, item)

    def _show_priorities(self) -> None:
        """They rise with time alone."""
        now = self._now()
        for chat_id, waiting in self._waiting.items():
            if priority(waiting, now) != self._shown[chat_id].priority:
                self._show(waiting)

    def _note_presence(self, agent: AgentPresence, reserved: frozenset[UUID]) -> None:
        if self._assignment is not None:
            self._assignment.note_agent(agent, reserved)
        if self._agents.get(agent.agent_id) == agent:
            return
        self._agents[agent.agent_id] = agent
        payload = PresenceChange(self._feed.feed_id, self._feed.next_seq(), agent)
        self._publish(AgentStatus(payload, self._world.clock.now()))

    def _tell(self, change: ChangeName, chat_id: UUID, item: QueueItem | None) -> None:
        payload = QueueChange(self._feed.feed_id, self._feed.next_seq(), change, chat_id, item)
        self._publish(QueueUpdate(payload, self._world.clock.now()))

    def _publish(self, frame: FeedFrame) -> None:
        self._feed.remember(frame)
        self._world.publisher.publish((WORKBENCH,), frame)

    def _subscribe(self, message: messages.SubscribeFeed) -> None:
        origin = message.origin
        self._show_priorities()
        missing = self._feed.since(message.feed_id, message.last_feed_seq)
        if missing is None:
            self._world.publisher.reply(origin, self._snapshot(origin))
        for frame in missing or ():
            self._world.publisher.reply(origin, replace(frame, reply_to=origin.frame_id))
        if self._assignment is not None:
            for offer in self._assignment.offers_to(message.agent_id):
                self._world.publisher.reply(origin, self._offer_frame(offer, origin.frame_id))

    def _snapshot(self, origin: Origin) -> QueueSnapshot:
        ordered = in_order(self._waiting.values(), self._now())
        waiting = tuple(self._shown[one.chat_id] for one in ordered)
        agents = tuple(self._agents.values())
        payload = QueueState(self._feed.feed_id, self._feed.head, waiting, agents)
        return QueueSnapshot(payload, self._world.clock.now(), origin.frame_id)

    def _item(self, waiting: Waiting) -> QueueItem:
        return QueueItem(
            chat_id=waiting.chat_id,
            customer_id=waiting.customer_id,
            waiting_since=instant(waiting.since),
            priority=priority(waiting, self._now()),
            is_vip=waiting.is_vip,
            customer_name=waiting.customer_name,
            topic=waiting.topic,
            reason=waiting.reason,
            team_id=waiting.team_id,
        )

    # --- offers -----------------------------------------------------------------------------------

    def _assign(self) -> None:
        if self._assignment is None:
            return
        now = self._world.clock.monotonic()
        for offer in self._assignment.assign(self._waiting, now, self._now()):
            topics = (agent_topic(offer.agent_id),)
            self._world.publisher.publish(topics, self._offer_frame(offer))

    def _elapse(self) -> None:
        """Whoever could be offered to somebody by now was forgotten since the last change."""
        if self._assignment is not None:
            self._world.on_stranded(self._assignment.stranded_count(self._waiting))
            self._assignment.elapse(self._world.clock.monotonic(), self._waiting)

    def _decline(self, message: messages.DeclineOffer) -> None:
        assignment, origin = self._assignment, message.origin
        if assignment is not None and assignment.decline(message.chat_id, message.agent_id):
            return
        code = ErrorCode.NOT_WAITING
        fault = Fault(code, ERRORS[code].sentence, message.chat_id)
        self._world.publisher.reply(origin, Error(fault, self._world.clock.now(), origin.frame_id))

    def _offer_frame(self, offer: Offer, reply_to: str | None = None) -> ChatOffer:
        now = self._world.clock.now()
        left_s = max(0.0, offer.expires_at - self._world.clock.monotonic())
        shown = OfferShown(offer.chat_id, now + timedelta(seconds=left_s))
        return ChatOffer(shown, now, reply_to)

    def _now(self) -> float:
        return self._world.clock.now().timestamp()
