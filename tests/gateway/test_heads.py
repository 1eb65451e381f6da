"""What a frame lost for good can cost: the store is compared with what connections were told."""

from typing import Any
from uuid import UUID

import pytest

from kefu.conversations import messages as conversations
from kefu.delivery import WORKBENCH
from kefu.dispatch import messages as dispatch
from kefu.gateway.heads import Heads
from protocol.server import ChatStatusName, QueueChange, QueueSnapshot, QueueState, QueueUpdate
from tests.gateway.office import CUSTOMER, ME, Office
from tests.gateway.stage import CHAT, NOW, passes, simulated


class Store:
    """Answers with one row for each chat that is asked about."""

    def __init__(self, row: tuple[Any, ...] | None) -> None:
        self.row = row
        self.asked: list[tuple[set[UUID], ...]] = []

    async def heads(self, *ids: Any) -> list[Any]:
        self.asked.append(tuple(map(set, ids)))
        return [self.row] if self.row else []


async def looks_of(
    office: Office, row: tuple[Any, ...] | None, *, is_after_loss: bool = False
) -> list[Any]:
    """The chats that are looked at again when the store says this."""
    office.told.clear()
    await Heads(office.hub, Store(row), lambda: True).look(is_after_loss=is_after_loss)
    await passes(1)
    looks = [each for each in office.told if isinstance(each, conversations.Describe)]
    return [look.chat_id for look in looks]


@pytest.mark.parametrize(
    ("row", "is_looked_at"),
    [
        ((CHAT, CUSTOMER.id, None, "active", 0, False), False),
        ((CHAT, CUSTOMER.id, None, "active", 1, False), True),
        ((CHAT, CUSTOMER.id, None, "waiting", 0, False), True),
        ((CHAT, CUSTOMER.id, ME.id, "active", 0, False), True),
        (None, True),
    ],
    ids=["nothing new", "a message", "another status", "another agent", "ended"],
)
def test_a_watched_chat_is_looked_at_again_when_something_was_missed(
    row: tuple[Any, ...] | None, is_looked_at: bool
) -> None:
    async def story() -> None:
        office = Office()
        peer = await office.watching()
        assert await looks_of(office, row) == [CHAT] * is_looked_at
        await peer.leave()

    simulated(story)


def test_the_store_is_asked_about_all_who_are_here_at_once() -> None:
    async def story() -> None:
        office, store = Office(), Store(None)
        peer = await office.watching()
        await Heads(office.hub, store, lambda: True).look()
        assert store.asked == [(set(), {ME.id}, {CHAT})]
        await peer.leave()

    simulated(story)


@pytest.mark.parametrize(
    ("status", "is_unanswered", "looks"),
    [("waiting", False, 0), ("bot", True, 1), ("bot", False, 0)],
)
def test_an_answer_that_is_owed_is_always_asked_for_a_place_only_after_a_loss(
    status: ChatStatusName, is_unanswered: bool, looks: int
) -> None:
    """The bot's turn may have lived elsewhere for a moment, unseen, and be lost."""

    async def story() -> None:
        office = Office()
        peer = await office.watching()
        office.publish_watched(office.of(CHAT, status))
        await passes(1)
        row = (CHAT, CUSTOMER.id, None, status, 0, is_unanswered)
        assert await looks_of(office, row, is_after_loss=False) == [CHAT] * looks
        owed = status == "waiting" or is_unanswered
        assert await looks_of(office, row, is_after_loss=True) == [CHAT] * owed
        await peer.leave()

    simulated(story)


def snapshot(feed_seq: int) -> QueueSnapshot:
    return QueueSnapshot(QueueState("list", feed_seq, (), ()), NOW)


def change(feed_seq: int, feed_id: str = "list") -> QueueUpdate:
    return QueueUpdate(QueueChange(feed_id, feed_seq, "removed", CHAT, None), NOW)


@pytest.mark.parametrize(
    ("heard", "point"),
    [
        ([], (None, None)),
        ([change(1)], (None, None)),
        ([snapshot(4)], ("list", 4)),
        ([snapshot(4), change(5), change(6)], ("list", 6)),
        ([snapshot(4), change(6)], ("list", 4)),
        ([snapshot(4), change(6), change(5), change(6)], ("list", 6)),
        ([snapshot(4), change(1, "another")], ("list", 4)),
    ],
    ids=["nothing", "no snapshot", "all", "changes", "a hole", "a hole filled", "a new list"],
)
def test_a_workbench_is_brought_its_list_from_where_it_has_it_without_a_hole(
    heard: list[Any], point: tuple[str | None, int | None]
) -> None:
    async def story() -> None:
        office = Office()
        peer = await office.at_work()
        for frame in heard:
            office.hub.publish((WORKBENCH,), frame)
        await looks_of(office, None)
        (feed,) = (each for each in office.told if isinstance(each, dispatch.SubscribeFeed))
        assert (feed.feed_id, feed.last_feed_seq) == point
        await peer.leave()

    simulated(story)
