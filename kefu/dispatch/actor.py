"""The queue: who waits for a human, in which order, and the feed that shows it to the agents.

It is a picture of what the conversations made durable. It reads it from the store when it comes to
life and again at every reconciliation, so that a message it never got strands nobody.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final
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
from kefu.dispatch.queue import in_order, priority
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
        self._told: dict[UUID, int] = {}
        self._agents: dict[UUID, AgentPresence] = {}
        self._feed = Feed(str(world.entropy.uuid()))
        self._ticks = 0

    async def on_activate(self) -> None:
        for waiting in await self._world.load_waiting():
            self._waiting[waiting.chat_id] = waiting
        self.context.remind("tick", TICK_S, messages.Tick())

    @property
    def waiting_count(self) -> int:
        return len(self._waiting)

    async def receive(self, message: QueueMessage) -> object:
        match message:
            case messages.Enqueue(waiting=waiting):
                return self._enqueue(waiting)
            case messages.Dequeue(chat_id=chat_id):
                self._dequeue(chat_id)
            case messages.PresenceChanged(agent=agent):
                self._note_presence(agent)
            case messages.SubscribeFeed():
                self._subscribe(message)
            case messages.Tick():
                await self._tick()
        return None

    def _enqueue(self, waiting: Waiting) -> int:
        is_known = waiting.chat_id in self._waiting
        self._waiting[waiting.chat_id] = waiting
        self._tell("changed" if is_known else "added", waiting.chat_id, self._item(waiting))
        for position, one in enumerate(in_order(self._waiting, self._now()), start=1):
            if one.chat_id == waiting.chat_id:
                self._told[one.chat_id] = position
                return position
        raise AssertionError("what was put in is in")

    def _dequeue(self, chat_id: UUID) -> None:
        self._told.pop(chat_id, None)
        if self._waiting.pop(chat_id, None) is not None:
            self._tell("removed", chat_id, None)

    async def _tick(self) -> None:
        self.context.remind("tick", TICK_S, messages.Tick())
        self._ticks += 1
        if self._ticks % RECONCILE_EVERY_TICKS == 0:
            await self._reconcile()
        self._tell_positions()

    async def _reconcile(self) -> None:
        """What conversations tell always comes after their commit, so the store is never behind:
        what it does not show waiting has left, and a Dequeue on its way finds nothing to do."""
        try:
            stored = {waiting.chat_id: waiting for waiting in await self._world.load_waiting()}
        except StoreUnavailable:
            return
        for chat_id in self._waiting.keys() - stored.keys():
            self._dequeue(chat_id)
        for chat_id in stored.keys() - self._waiting.keys():
            self._enqueue(stored[chat_id])

    def _tell_positions(self) -> None:
        """Once a tick, and only to those whose place changed."""
        for position, one in enumerate(in_order(self._waiting, self._now()), start=1):
            if self._told.get(one.chat_id) != position:
                self._told[one.chat_id] = position
                conversation = self.context.ref(conversations.KIND, str(one.customer_id))
                conversation.tell(conversations.QueueMoved(one.chat_id, position))

    # --- the feed ---------------------------------------------------------------------------------

    def _note_presence(self, agent: AgentPresence) -> None:
        self._agents[agent.agent_id] = agent
        payload = PresenceChange(self._feed.feed_id, self._feed.next_seq(), agent)
        self._publish(AgentStatus(payload, self._world.clock.now()))

    def _tell(self, change: Any, chat_id: UUID, item: QueueItem | None) -> None:
        payload = QueueChange(self._feed.feed_id, self._feed.next_seq(), change, chat_id, item)
        self._publish(QueueUpdate(payload, self._world.clock.now()))

    def _publish(self, frame: FeedFrame) -> None:
        self._feed.remember(frame)
        self._world.publisher.publish((WORKBENCH,), frame)

    def _subscribe(self, message: messages.SubscribeFeed) -> None:
        origin = message.origin
        missing = self._feed.since(message.feed_id, message.last_feed_seq)
        if missing is None:
            self._world.publisher.reply(origin, self._snapshot(origin))
            return
        for frame in missing:
            self._world.publisher.reply(origin, replace(frame, reply_to=origin.frame_id))

    def _snapshot(self, origin: Origin) -> QueueSnapshot:
        waiting = tuple(self._item(one) for one in in_order(self._waiting, self._now()))
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
