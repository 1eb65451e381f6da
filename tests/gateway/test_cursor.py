"""Coming back with the last event id: nothing is missing and nothing comes twice."""

from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.gateway.cursor import Cursor
from protocol.server import (
    ChatState,
    ChatStatus,
    Message,
    NewMessage,
    Pong,
    QueueChange,
    QueueSnapshot,
    QueueState,
    QueueUpdate,
)
from tests.gateway.stage import CHAT, NOW, Stage, passes, simulated
from tests.gateway.stream_peer import Event

STEPS = st.one_of(
    st.tuples(st.just("speak"), st.sampled_from(["arrives", "is lost", "comes twice"])),
    st.tuples(st.just("status"), st.sampled_from(["active", "waiting"])),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.4, 2.0])),
    st.tuples(st.just("cut"), st.integers(0, 6)),
)


class Reader:
    """A browser that comes back whenever its stream is cut. What was on its way then is lost."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._token = stage.tokens.customer("c-1", ttl_s=3000)
        stage.chats.owner_id = stage.tokens.verify(self._token).customer_id
        self.read: list[Event] = []
        self.last_id = ""
        self.peer = stage.listen(self._token)

    def take(self, unread_count: int = 0) -> None:
        """Read what came, but for so many events at the end."""
        events = self.peer.events
        for event in events[: len(events) - unread_count]:
            self.read.append(event)
            if event.id is not None:
                self.last_id = event.id

    async def cut(self, unread_count: int) -> None:
        self.take(min(unread_count, len(self.peer.events)))
        await self.peer.leave()
        self.peer = self._stage.listen(self._token, last_id=self.last_id)

    @property
    def seqs(self) -> list[int]:
        frames = [event.frame for event in self.read]
        return [frame["payload"]["seq"] for frame in frames if frame["type"] == "new_message"]


async def play(steps: list[tuple[str, Any]], delay_s: float) -> None:
    stage = Stage()
    stage.chats.delay_s = delay_s
    stage.chats.speak()
    stage.chats.speak()
    reader = Reader(stage)
    await reader.peer.hear("chat_status")
    await reader.cut(0)  # from here on it has a cursor
    for step, what in steps:
        if step == "speak":
            frame = stage.chats.speak()
            for _ in range({"arrives": 1, "is lost": 0, "comes twice": 2}[what]):
                stage.publish(frame)
        elif step == "status":
            stage.publish(stage.status(what))
        elif step == "wait":
            await passes(what)
        else:
            await reader.cut(what)
    await passes(100)
    stage.publish(stage.status())
    await passes(100)
    reader.take()
    assert reader.seqs == list(range(3, len(stage.chats.log) + 1))
    await reader.peer.leave()


@settings(max_examples=500, deadline=None)
@given(st.lists(STEPS, max_size=30), st.sampled_from([0.0, 0.3, 1.0]))
def test_whatever_is_cut_or_lost_each_message_is_read_once_and_in_order(
    steps: list[tuple[str, Any]], delay_s: float
) -> None:
    simulated(lambda: play(steps, delay_s))


def test_who_comes_back_far_behind_is_told_so_and_can_be_cut_again() -> None:
    async def story() -> None:
        stage = Stage()
        reader = Reader(stage)
        await reader.peer.hear("chat_status")
        for _ in range(400):
            stage.chats.speak()
        await reader.cut(0)
        await passes(1)
        await reader.cut(40)
        await passes(1)
        reader.take()
        resync = [e.frame for e in reader.read if e.frame["payload"].get("resync")]
        assert [frame["payload"]["last_seq"] for frame in resync] == [400]
        assert reader.seqs == list(range(351, 401))
        await reader.peer.leave()

    simulated(story)


def test_a_client_ahead_of_the_log_is_told_so() -> None:
    async def story() -> None:
        stage = Stage()
        for _ in range(3):
            stage.chats.speak()
        reader = Reader(stage)
        await reader.peer.leave()
        reader.last_id = f"{CHAT.hex}:9"
        reader.peer = stage.listen(stage.tokens.customer("c-1", ttl_s=60), last_id=reader.last_id)
        await passes(1)
        reader.take()
        assert reader.seqs == [1, 2, 3]
        assert reader.last_id == f"{CHAT.hex}:3"
        await reader.peer.leave()

    simulated(story)


def test_what_comes_live_waits_for_what_was_missed() -> None:
    async def story() -> None:
        stage = Stage()
        for _ in range(2):
            stage.chats.speak()
        reader = Reader(stage)
        await reader.peer.hear("chat_status")
        await reader.cut(0)
        await passes(1)
        stage.chats.speak()
        await reader.cut(0)
        stage.chats.delay_s = 1.0
        await passes(0.5)
        stage.publish(stage.chats.speak())
        await passes(2)
        reader.take()
        assert reader.seqs == [3, 4]
        await reader.peer.leave()

    simulated(story)


def test_a_status_that_comes_before_the_greeting_lets_nothing_slip_past() -> None:
    simulated(
        lambda: play(
            [
                ("speak", "arrives"),
                ("wait", 0.0),
                ("wait", 0.0),
                ("status", "active"),
                ("speak", "arrives"),
            ],
            delay_s=0.0,
        )
    )


def test_what_a_slow_reader_lets_wait_never_takes_the_cursor_back() -> None:
    async def story() -> None:
        stage = Stage()
        reader = Reader(stage)
        await reader.peer.hear("chat_status")
        await reader.cut(0)
        for _ in range(200):
            stage.chats.speak()
        await reader.cut(0)
        reader.peer.is_reading = False
        await passes(1)
        other = UUID(int=78)
        stage.publish(ChatStatus(ChatState(other, "active", 5), NOW))
        message = Message(other, UUID(int=9), 6, "agent", "x", NOW)
        stage.publish(NewMessage(message, NOW))
        reader.peer.is_reading = True
        await passes(1)
        told = {CHAT: 0}
        for event in reader.peer.events:
            payload = event.frame["payload"]
            chat_id = UUID(payload["chat_id"])
            if event.frame["type"] == "new_message":
                told[chat_id] = payload["seq"]
            else:
                told.setdefault(chat_id, payload["last_seq"])
            if event.id is not None:
                assert Cursor.read(event.id).chats == told, "all that went out, and no more"
        assert told == {CHAT: 200, other: 6}
        await reader.peer.leave()

    simulated(story)


# --- many chats and the feed, without a server ----------------------------------------------------

CHATS = [UUID(int=number) for number in range(3)]
MOVES = st.one_of(
    st.tuples(st.sampled_from(["follow", "speak", "end", "resync"]), st.sampled_from(CHATS)),
    st.tuples(st.sampled_from(["snapshot", "update", "update", "again", "early"]), st.none()),
    st.tuples(st.just("pong"), st.none()),
)


class Server:
    """What would be sent: heads of three chats and of the feed."""

    def __init__(self) -> None:
        self.heads = dict.fromkeys(CHATS, 5)
        self.followed: dict[UUID, int] = {}
        self.feed = 40
        self.fed: int | None = None

    def status(self, chat_id: UUID, name: Any = "active", **more: bool) -> ChatStatus:
        return ChatStatus(ChatState(chat_id, name, self.heads[chat_id], **more), NOW)

    def play(self, cursor: Cursor, move: str, chat_id: UUID) -> None:
        if move == "follow":
            self.followed.setdefault(chat_id, self.heads[chat_id])
            assert cursor.take(self.status(chat_id), is_followed=True)
        elif move == "end":
            self.followed.pop(chat_id, None)
            assert cursor.take(self.status(chat_id, "ended"), is_followed=False)
        elif move == "speak" and chat_id in self.followed:
            self.heads[chat_id] += 1
            self.followed[chat_id] = self.heads[chat_id]
            message = Message(chat_id, UUID(int=9), self.heads[chat_id], "agent", "x", NOW)
            assert cursor.take(NewMessage(message, NOW), is_followed=False)
        elif move == "resync" and chat_id in self.followed:
            self.heads[chat_id] += 400
            self.followed[chat_id] = self.heads[chat_id] - 50
            assert cursor.take(self.status(chat_id, resync=True), is_followed=True)
            for seq in range(self.heads[chat_id] - 49, self.heads[chat_id] + 1):
                self.followed[chat_id] = seq
                message = Message(chat_id, UUID(int=9), seq, "agent", "x", NOW)
                assert cursor.take(NewMessage(message, NOW), is_followed=False)
                assert cursor.chats[chat_id] == seq

    def feed_on(self, cursor: Cursor, move: str) -> None:
        if move == "snapshot":
            self.fed = self.feed
            state = QueueState("feed-1", self.feed, (), ())
            assert cursor.take(QueueSnapshot(state, NOW), is_followed=False)
        elif move == "update":
            self.feed += 1
            assert cursor.take(_update(self.feed), is_followed=False)
            self.fed = None if self.fed is None else self.feed
        elif move == "again":
            assert cursor.take(_update(self.feed), is_followed=False) is (self.fed is None)
        elif move == "early":
            assert cursor.take(_update(self.feed + 2), is_followed=False) is (self.fed is None)


def _update(seq: int, feed_id: str = "feed-1") -> QueueUpdate:
    return QueueUpdate(QueueChange(feed_id, seq, "removed", CHATS[0]), NOW)


@settings(max_examples=300)
@given(st.lists(MOVES, max_size=40))
def test_at_any_moment_the_text_says_what_went_out_last(moves: list[tuple[str, Any]]) -> None:
    cursor, server = Cursor(), Server()
    for move, chat_id in moves:
        if chat_id is not None:
            server.play(cursor, move, chat_id)
        elif move == "pong":
            assert cursor.take(Pong(NOW), is_followed=False)
        else:
            server.feed_on(cursor, move)
        back = Cursor.read(cursor.text())
        assert back.chats == cursor.chats == server.followed
        assert back.feed == cursor.feed
        assert cursor.feed == (None if server.fed is None else ("feed-1", server.fed))


def test_an_ended_chat_stays_until_its_last_message_has_gone_out() -> None:
    cursor = Cursor.read(f"{CHATS[0].hex}:3")
    state = ChatState(CHATS[0], "ended", 5)
    cursor.take(ChatStatus(state, NOW), is_followed=False)
    seen = []
    for seq in (4, 5):
        seen.append(cursor.text())
        message = Message(CHATS[0], UUID(int=9), seq, "agent", "x", NOW)
        cursor.take(NewMessage(message, NOW), is_followed=False)
    assert seen == [f"{CHATS[0].hex}:3", f"{CHATS[0].hex}:4"]
    assert cursor.text() == ""


def test_a_feed_that_began_anew_goes_by_and_moves_nothing() -> None:
    cursor = Cursor.read("feed-1@7")
    assert cursor.take(_update(1, "feed-2"), is_followed=False)
    assert cursor.text() == "feed-1@7"


@given(st.text(max_size=200))
def test_any_text_is_a_cursor_or_none(text: str) -> None:
    cursor = Cursor.read(text)
    assert Cursor.read(cursor.text()).chats == cursor.chats
    assert Cursor.read(cursor.text()).feed == cursor.feed
