"""The workbench's list at random: all that the queue can hear, and what clients make of it."""

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from kefu.agents import messages as agents
from kefu.delivery import WORKBENCH, agent_topic
from kefu.dispatch import messages
from protocol.server import (
    AgentPresence,
    AgentStatus,
    ChatOffer,
    QueueItem,
    QueueSnapshot,
    QueueUpdate,
)
from tests.fakes.shop import AgentOnStage, Listener, Shop, settled

TEAMS = (UUID(int=51), UUID(int=52))
PLACE = {"urgent": 0, "high": 1, "normal": 2}
CHAT = st.integers(1, 6)
LOST = st.sampled_from([False, False, False, True])
ENQUEUE = st.tuples(
    st.just("enqueue"), CHAT, st.booleans(), st.booleans(), st.sampled_from((None, *TEAMS)), LOST
)
PRESENCE = st.tuples(
    st.just("presence"),
    st.integers(1, 3),
    st.sampled_from(["online", "online", "busy", "offline"]),
    st.integers(0, 2),
    st.sets(st.sampled_from(TEAMS)),
)
TIME = st.tuples(st.just("time"), st.sampled_from([0.3, 2.0, 16.0, 31.0, 300.6]))
STEP = st.one_of(
    ENQUEUE,
    ENQUEUE,
    ENQUEUE,
    st.tuples(st.just("dequeue"), CHAT, LOST),
    PRESENCE,
    PRESENCE,
    st.tuples(st.just("status"), st.sampled_from(["online", "lunch"])),
    st.tuples(st.just("decline"), CHAT),
    TIME,
    TIME,
    st.tuples(st.just("restart")),
    st.tuples(st.just("store"), st.booleans()),
    st.tuples(st.just("leave")),
    st.tuples(st.just("come back")),
)
MODE = st.sampled_from(["manual", "round_robin", "least_busy"])


class Board:
    """What a workbench shows, put together from frames alone, as the page does it (feed.ts)."""

    def __init__(self) -> None:
        self.feed_id: str | None = None
        self.feed_seq = 0
        self.items: dict[UUID, QueueItem] = {}
        self.agents: dict[UUID, AgentPresence] = {}
        self.offers: dict[UUID, ChatOffer] = {}
        self.is_missing = False

    def take(self, frame: Any) -> None:
        match frame:
            case QueueSnapshot(payload=state):
                self.feed_id, self.feed_seq = state.feed_id, state.feed_seq
                self.items = {item.chat_id: item for item in state.waiting}
                self.agents = {agent.agent_id: agent for agent in state.agents}
                self.is_missing = False
            case QueueUpdate(payload=change):
                if self._follows(change):
                    self._change(change.chat_id, change.change, change.item)
            case AgentStatus(payload=change):
                if self._follows(change):
                    self.agents[change.agent.agent_id] = change.agent
            case ChatOffer(payload=offer):
                self.offers[offer.chat_id] = frame

    def _follows(self, change: Any) -> bool:
        """One seen already is passed over; one that does not follow is asked for again."""
        if change.feed_id == self.feed_id and change.feed_seq <= self.feed_seq:
            return False
        if (change.feed_id, change.feed_seq) != (self.feed_id, self.feed_seq + 1):
            self.is_missing = True
            return False
        self.feed_seq = change.feed_seq
        return True

    def _change(self, chat_id: UUID, change: str, item: QueueItem | None) -> None:
        assert (chat_id in self.items) == (change != "added"), f"{change} makes no sense"
        if item is not None:
            self.items[chat_id] = item
        else:
            del self.items[chat_id]
            self.offers.pop(chat_id, None)

    @property
    def content(self) -> tuple[Any, ...]:
        waiting = sorted(self.items.values(), key=_place)
        return self.feed_id, self.feed_seq, waiting, self.agents


def _place(item: QueueItem) -> tuple[Any, ...]:
    return (not item.is_vip, PLACE[item.priority], item.waiting_since, item.chat_id.bytes)


class Watcher:
    """An agent's workbench. `said` is every frame it heard, as it came."""

    def __init__(self, shop: Shop, agent: AgentOnStage) -> None:
        self.board = Board()
        self.said: list[Any] = []
        self.is_here = True
        self._shop = shop
        self._agent = agent
        self._line: Listener = shop.listen(WORKBENCH, agent_topic(agent.id))

    def hear(self) -> None:
        for frame in self._line.frames:
            self.board.take(frame)
        self.said += self._line.frames
        self._line.frames.clear()

    async def subscribe(self) -> None:
        """Go on where the board stands."""
        self.hear()
        self._shop.listeners[self._line.id] = self._line
        self.is_here = True
        board = self.board
        board.offers.clear()  # those that still stand come again
        point = (board.feed_id, board.feed_seq) if board.feed_id is not None else ()
        origin = self._line.origin()
        assert self._shop.queue().tell(messages.SubscribeFeed(origin, self._agent.id, *point))
        await settled(0.01)
        self.hear()

    def leave(self) -> None:
        self.hear()
        self._shop.listeners.pop(self._line.id, None)
        self.is_here = False


class Stage:
    """A queue, its store, and three ways to watch: always, on and off, and for the first time."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.ke = shop.agent()
        self.stored: dict[UUID, messages.Waiting] = {}
        self.is_down = False
        self._is_breaking = False
        self.steady, self.fickle = Watcher(shop, self.ke), Watcher(shop, self.ke)
        shop.storage.waiting = self._waiting

    async def _waiting(self) -> list[messages.Waiting]:
        if self._is_breaking:
            self._is_breaking = False
            raise RuntimeError("a bug")
        self.shop.storage.is_down = self.is_down
        self.shop.storage.answer()
        self.shop.storage.is_down = False
        return list(self.stored.values())

    async def open(self) -> None:
        await self.ke.connect()
        for watcher in (self.steady, self.fickle):
            await watcher.subscribe()

    async def perform(self, step: tuple[Any, ...]) -> None:
        queue, now = self.shop.queue(), self.shop.clock.now().timestamp()
        match step:
            case ("enqueue", number, vip, pressing, team, is_lost):
                chat_id = UUID(int=number)
                since = now // 1 + number % 3 / 1_000_000  # at once, or nearly
                waiting = messages.Waiting(
                    chat_id, UUID(int=99), since, vip, pressing, team_id=team
                )
                self.stored[chat_id] = waiting
                if not is_lost:
                    queue.tell(messages.Enqueue(waiting))
            case ("dequeue", number, is_lost):
                self.stored.pop(UUID(int=number), None)
                if not is_lost:
                    queue.tell(messages.Dequeue(UUID(int=number)))
            case ("presence", number, status, active, teams):
                agent = AgentPresence(
                    UUID(int=number), "小可", status, active, 2, team_ids=tuple(sorted(teams))
                )
                queue.tell(messages.PresenceChanged(agent))
            case ("status", name):
                self.ke.ref.tell(agents.SetStatus(self.ke.line.origin(), name))
            case ("decline", number):
                queue.tell(
                    messages.DeclineOffer(self.ke.line.origin(), self.ke.id, UUID(int=number))
                )
            case ("time", seconds):
                await settled(seconds)
            case ("restart",):
                self._is_breaking = True
                while self._is_breaking:
                    await settled(0.5)
                await settled(2)
                while not queue.tell(messages.ListPresence()):  # quarantined
                    await settled(2)
            case ("store", is_down):
                self.is_down = is_down
            case ("leave",):
                self.fickle.leave()
            case ("come back",):
                await self.fickle.subscribe()
        await settled(0.01)

    async def check(self) -> list[Any]:
        """Who watched all the time, and who comes back now, have what a newcomer gets.

        Returns the newcomer's frames.
        """
        for watcher in (self.steady, self.fickle):
            watcher.hear()
            if watcher.is_here and watcher.board.is_missing:
                await watcher.subscribe()
        fresh = Watcher(self.shop, self.ke)
        await fresh.subscribe()
        fresh.leave()
        for watcher in (self.steady, self.fickle):
            if watcher.is_here:
                watcher.hear()
                assert watcher.board.content == fresh.board.content
                assert fresh.board.offers.keys() <= watcher.board.offers.keys()
        self.fresh = fresh.board
        (waiting,) = (f.payload.waiting for f in fresh.said if isinstance(f, QueueSnapshot))
        assert list(waiting) == sorted(waiting, key=_place)
        return fresh.said
