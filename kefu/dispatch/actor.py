"""The queue: who waits for a human, in which order, and the feed that shows it to the agents.

It is a picture of what the conversations made durable. It reads it from the store when it comes to
life and again at every reconciliation, so that a message it never got strands nobody.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from actors import Actor
from kefu.clock import Clock
from kefu.conversations import messages as conversations
from kefu.delivery import WORKBENCH, Origin, Publisher
from kefu.dispatch import messages
from kefu.dispatch.feed import Feed, FeedFrame
from kefu.dispatch.messages import QueueMessage, Waiting
from kefu.dispatch.queue import in_order, position, priority
from kefu.entropy import Entropy
from kefu.instants import instant
from kefu.storage.errors import StoreUnavailable
from protocol.server import (
    AgentPresence,
    AgentStatus,
    PresenceChange,
    QueueChange,
    QueueItem,
    QueueSnapshot,
    QueueState,
    QueueUpdate,
)

TICK_S: Final = 1.0
RECONCILE_EVERY_TICKS: Final = 15
ChangeName = Literal["added", "changed", "removed"]


class World(Struct, frozen=True):
    """`load_waiting` reads every waiting chat from the store."""

    load_waiting: Callable[[], Awaitable[list[Waiting]]]
    publisher: Publisher
    clock: Clock
    entropy: Entropy


class QueueActor(Actor[QueueMessage]):
    mailbox_limit = 65_536
    idle_timeout_s = None

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[UUID, Waiting] = {}
        self._shown: dict[UUID, QueueItem] = {}
        """The waiting chats as the feed showed them last."""
        self._position_told: dict[UUID, int] = {}
        self._agents: dict[UUID, AgentPresence] = {}
        self._feed = Feed(str(world.entropy.uuid()))
        self._ticks = 0

    async def on_activate(self) -> None:
        for waiting in await self._world.load_waiting():
            self._put(waiting)
        self.context.remind("tick", TICK_S, messages.Tick())

    async def receive(self, message: QueueMessage) -> object:
        match message:
            case messages.Enqueue(waiting=waiting):
                self._put(waiting)
                return position(waiting, self._waiting.values(), self._now())
            case messages.Dequeue(chat_id=chat_id):
                self._take_out(chat_id)
            case messages.PresenceChanged(agent=agent):
                self._note_presence(agent)
            case messages.ListPresence():
                return tuple(self._agents.values())
            case messages.SubscribeFeed():
                self._subscribe(message)
            case messages.Tick():
                await self._tick()
        return None

    def _put(self, waiting: Waiting) -> None:
        self._waiting[waiting.chat_id] = waiting
        self._show(waiting)

    def _take_out(self, chat_id: UUID) -> None:
        self._position_told.pop(chat_id, None)
        if self._waiting.pop(chat_id, None) is not None:
            del self._shown[chat_id]
            self._tell("removed", chat_id, None)

    async def _tick(self) -> None:
        self.context.remind("tick", TICK_S, messages.Tick())
        self._ticks += 1
        if self._ticks % RECONCILE_EVERY_TICKS == 0:
            await self._reconcile()
        self._show_priorities()
        self._tell_positions()

    async def _reconcile(self) -> None:
        """What conversations tell always comes after their commit, so the store is never behind:
        what it does not show waiting has left, and a Dequeue on its way finds nothing to do."""
        try:
            stored = {waiting.chat_id: waiting for waiting in await self._world.load_waiting()}
        except StoreUnavailable:
            return
        for chat_id in self._waiting.keys() - stored.keys():
            self._take_out(chat_id)
        for waiting in stored.values():
            self._put(waiting)
        # a conversation may have been unable to take its place in: one that has it says nothing
        self._position_told.clear()

    def _tell_positions(self) -> None:
        """Once a tick, and only to those whose place changed."""
        for place, one in enumerate(in_order(self._waiting.values(), self._now()), start=1):
            if self._position_told.get(one.chat_id) != place:
                conversation = self.context.ref(conversations.KIND, str(one.customer_id))
                if conversation.tell(conversations.QueueMoved(one.chat_id, place)):
                    self._position_told[one.chat_id] = place

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

    def _note_presence(self, agent: AgentPresence) -> None:
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
            return
        for frame in missing:
            self._world.publisher.reply(origin, replace(frame, reply_to=origin.frame_id))

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
        )

    def _now(self) -> float:
        return self._world.clock.now().timestamp()
