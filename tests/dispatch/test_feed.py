"""The workbench's list is resumed exactly: what a listener put together is what is there."""

from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.dispatch import messages
from kefu.dispatch.feed import REMEMBERED, Feed
from protocol.server import AgentPresence, QueueSnapshot
from tests.fakes.shop import Listener, Shop, play, settled


class Board:
    """What a workbench shows, put together from frames alone."""

    def __init__(self) -> None:
        self.feed_id: str | None = None
        self.feed_seq = 0
        self.waiting: dict[UUID, Any] = {}
        self.agents: dict[UUID, Any] = {}

    def take(self, frames: list[Any]) -> None:
        for frame in frames:
            payload = frame.payload
            if isinstance(frame, QueueSnapshot):
                self.feed_id, self.feed_seq = payload.feed_id, payload.feed_seq
                self.waiting = {item.chat_id: item for item in payload.waiting}
                self.agents = {agent.agent_id: agent for agent in payload.agents}
                continue
            # an old one, or one that came before the answer which fills the hole before it
            if (payload.feed_id, payload.feed_seq) != (self.feed_id, self.feed_seq + 1):
                continue
            self.feed_seq = payload.feed_seq
            if hasattr(payload, "agent"):
                self.agents[payload.agent.agent_id] = payload.agent
            elif payload.item is None:
                del self.waiting[payload.chat_id]
            else:
                assert (payload.chat_id in self.waiting) == (payload.change == "changed")
                self.waiting[payload.chat_id] = payload.item

    @property
    def content(self) -> tuple[Any, ...]:
        return self.feed_id, self.feed_seq, self.waiting, self.agents


CHAT = st.integers(1, 6)
STEP = st.one_of(
    st.tuples(st.just("enqueue"), CHAT, st.booleans()),
    st.tuples(st.just("dequeue"), CHAT),
    st.tuples(st.just("presence"), CHAT, st.sampled_from(["online", "busy", "offline"])),
    st.tuples(st.just("time"), st.sampled_from([0.3, 2.0, 301.0])),
    st.tuples(st.just("leave")),
    st.tuples(st.just("come back")),
)


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(STEP, max_size=25), seed=st.integers(0, 2**32))
def test_snapshot_and_updates_make_the_fresh_snapshot(steps: list[Any], seed: int) -> None:
    async def scene(shop: Shop) -> None:
        board, line = Board(), shop.listen("workbench")
        await subscribe(shop, line, board)
        for step in steps:
            await perform(shop, line, board, step)
        await subscribe(shop, line, board)

        fresh, other = Board(), shop.listen("workbench")
        await subscribe(shop, other, fresh)
        assert board.content == fresh.content

    assert play(scene, seed).crashes == []


async def subscribe(shop: Shop, line: Listener, board: Board) -> None:
    """Resume from where the board stands, with what came over the line meanwhile."""
    board.take(line.frames)
    line.frames.clear()
    shop.listeners[line.id] = line
    point = messages.SubscribeFeed(
        line.origin(), board.feed_id, board.feed_seq if board.feed_id else None
    )
    shop.queue().tell(point)
    await settled()
    board.take(line.frames)
    line.frames.clear()


async def perform(shop: Shop, line: Listener, board: Board, step: tuple[Any, ...]) -> None:
    name, *rest = step
    queue = shop.queue()
    match name:
        case "enqueue":
            chat_id, now = UUID(int=rest[0]), shop.clock.now().timestamp()
            queue.tell(
                messages.Enqueue(messages.Waiting(chat_id, UUID(int=99), now, is_vip=rest[1]))
            )
        case "dequeue":
            queue.tell(messages.Dequeue(UUID(int=rest[0])))
        case "presence":
            agent = AgentPresence(UUID(int=rest[0]), "小可", rest[1], 0, 5)
            queue.tell(messages.PresenceChanged(agent))
        case "time":
            await settled(rest[0])
        case "leave":
            shop.listeners.pop(line.id, None)
        case "come back":
            await subscribe(shop, line, board)


def test_only_what_is_remembered_is_resumed() -> None:
    feed = Feed("f")
    frames: list[Any] = []
    for _ in range(REMEMBERED + 5):
        feed.next_seq()
        frames.append(object())
        feed.remember(frames[-1])
    head = REMEMBERED + 5
    assert feed.since("f", head) == []
    assert feed.since("f", head - 1) == frames[-1:]
    assert feed.since("f", 5) == frames[5:]
    assert feed.since("f", 4) is None
    assert feed.since("f", head + 1) is None
    assert feed.since("g", head) is None
    assert feed.since("f", None) is None
    assert feed.since(None, None) is None
