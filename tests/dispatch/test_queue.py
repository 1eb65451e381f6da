"""The queue on the real router: whom it tells what, and that nobody is forgotten in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from kefu.conversations import messages as conversations
from kefu.dispatch import messages
from tests.fakes.shop import SEEDS, Listener, Shop, on_stage, play, settled

NOBODY = UUID(int=404)


async def awake(shop: Shop) -> Listener:
    """Somebody who watches the workbench, the queue being alive."""
    watcher = shop.listen("workbench")
    shop.queue().tell(messages.SubscribeFeed(watcher.origin("first"), NOBODY))
    await settled()
    return watcher


def changes(watcher: Listener) -> list[tuple[str, UUID]]:
    return [(update.change, update.chat_id) for update in watcher.heard("queue_update")]


def positions(line: Listener) -> list[int | None]:
    return [status.queue_position for status in line.heard("chat_status")]


@on_stage
async def test_customers_hear_their_position_and_only_when_it_changes(shop: Shop) -> None:
    await awake(shop)
    people = [shop.customer(number) for number in (1, 2, 3)]
    for person in people:
        await person.start()
        await settled(0.01)
    await settled(5)
    assert [positions(person.line) for person in people] == [[1], [2], [3]]
    await people[0].end()
    await settled(5)
    assert [positions(person.line) for person in people[1:]] == [[2, 1], [3, 2]]
    assert shop.handled["QueueMoved"] == 5


@on_stage
async def test_a_vip_goes_before_the_others_and_they_hear_it(shop: Shop) -> None:
    await awake(shop)
    wang, boss = shop.customer(1), shop.customer(2, is_vip=True)
    await wang.start()
    await boss.start()
    await settled(3)
    assert positions(boss.line) == [1]
    assert positions(wang.line) == [1, 2]


@asynccontextmanager
async def deaf(shop: Shop) -> AsyncIterator[None]:
    """The queue is stuck in a reconciliation with its mailbox full."""
    queue = shop.router.find(shop.queue().id)
    assert queue is not None
    usual, shop.storage.gate = queue.mailbox.limit, asyncio.Event()
    await settled(16)
    queue.mailbox.limit = 1
    while shop.queue().tell(messages.Dequeue(UUID(int=404))):
        pass
    yield
    queue.mailbox.limit = usual
    shop.storage.gate.set()
    shop.storage.gate = None


@on_stage
async def test_a_conversation_that_has_moved_learns_its_place_when_looked_at(
    shop: Shop,
) -> None:
    wang = shop.customer()
    await wang.start()
    await settled(2)
    wang.line.frames.clear()
    await shop.router.evict(lambda id: id.kind == conversations.KIND, lambda *_: None, within=1.0)
    await wang.look()
    await settled(1.5)
    assert positions(wang.line) == [1]


@on_stage
async def test_a_customer_whose_answer_got_lost_hears_their_position_later(shop: Shop) -> None:
    await awake(shop)
    wang = shop.customer()
    async with deaf(shop):
        await wang.start()
    assert positions(wang.line) == [None]
    await settled(20)
    assert positions(wang.line) == [None, 1]


@on_stage
async def test_a_conversation_too_busy_to_listen_is_told_its_position_again(shop: Shop) -> None:
    await awake(shop)
    first, wang = shop.customer(1), shop.customer(2)
    await first.start()
    await wang.start()
    conversation = shop.router.find(wang.ref.id)
    assert conversation is not None
    await settled(2)
    usual, shop.storage.commit_s = conversation.mailbox.limit, 5.0
    wang.say("一")
    await settled(0.1)
    conversation.mailbox.limit = 1
    wang.say("二")
    shop.storage.commit_s = 0.0
    await first.end()
    await settled(2)
    assert positions(wang.line) == [2]
    conversation.mailbox.limit = usual
    await settled(20)
    assert positions(wang.line) == [2, 1]


@on_stage
async def test_an_overflowing_queue_strands_nobody(shop: Shop) -> None:
    watcher = await awake(shop)
    leaving, staying, coming = (shop.customer(number) for number in (1, 2, 3))
    left, stayed = await leaving.start(), await staying.start()
    async with deaf(shop):
        await leaving.end()
        came = await coming.start()
    await settled(1)
    assert ("removed", left) not in changes(watcher)
    await settled(20)  # one reconciliation
    assert ("removed", left) in changes(watcher)
    assert ("added", came) in changes(watcher)
    shop.queue().tell(messages.SubscribeFeed(watcher.origin("again"), NOBODY))
    await settled()
    snapshot = watcher.heard("queue_snapshot")[-1]
    assert [item.chat_id for item in snapshot.waiting] == [stayed, came]


@on_stage
async def test_a_reconciliation_that_finds_nothing_new_says_nothing(shop: Shop) -> None:
    watcher = await awake(shop)
    await shop.customer().start()
    await settled(60)
    assert [change for change, _ in changes(watcher)] == ["added"]


@on_stage
async def test_a_store_that_is_down_empties_no_queue(shop: Shop) -> None:
    watcher = await awake(shop)
    chat_id = await shop.customer().start()
    shop.storage.is_down = True
    await settled(60)
    assert changes(watcher) == [("added", chat_id)]


@on_stage
async def test_after_five_minutes_the_workbench_sees_the_chat_as_urgent(shop: Shop) -> None:
    watcher = await awake(shop)
    chat_id = await shop.customer().start()
    await settled(310)
    assert changes(watcher) == [("added", chat_id), ("changed", chat_id)]
    assert [update.item.priority for update in watcher.heard("queue_update")] == [
        "normal",
        "urgent",
    ]


@on_stage
async def test_a_newcomer_sees_who_is_urgent_by_now(shop: Shop) -> None:
    watcher = await awake(shop)
    await shop.customer().start()
    await settled(300.2)  # between two ticks
    assert [change for change, _ in changes(watcher)] == ["added"]
    shop.queue().tell(messages.SubscribeFeed(watcher.origin("now"), NOBODY))
    await settled(0.01)
    assert watcher.heard("queue_snapshot")[-1].waiting[0].priority == "urgent"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_queue_that_starts_anew_finds_everybody_and_begins_a_new_feed(seed: int | None) -> None:
    async def scene(shop: Shop) -> None:
        watcher = await awake(shop)
        chats = {await shop.customer(number).start() for number in range(1, 6)}
        shop.storage.is_broken = True
        await settled(20)
        shop.storage.is_broken = False
        await settled(90)
        old = watcher.heard("queue_snapshot")[0]
        point = old.feed_id, old.feed_seq
        shop.queue().tell(messages.SubscribeFeed(watcher.origin("r"), NOBODY, *point))
        await settled()
        snapshot = watcher.heard("queue_snapshot")[-1]
        assert snapshot.feed_id != old.feed_id
        assert {item.chat_id for item in snapshot.waiting} == chats

    assert {str(error) for error in play(scene, seed).crashes} == {"a bug"}


@on_stage
async def test_a_chat_that_is_taken_leaves_the_queue_at_once(shop: Shop) -> None:
    watcher = await awake(shop)
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    await settled()
    assert changes(watcher) == [("added", chat_id), ("removed", chat_id)]


@on_stage
async def test_going_back_to_the_bot_leaves_the_queue(shop: Shop) -> None:
    watcher = await awake(shop)
    wang = shop.customer()
    chat_id = await wang.start()
    await wang.ref.ask(conversations.ReturnToBot(wang.line.origin(), wang.party), within=5)
    await settled()
    assert changes(watcher) == [("added", chat_id), ("removed", chat_id)]


@on_stage
async def test_the_same_presence_told_again_is_no_news(shop: Shop) -> None:
    watcher = await awake(shop)
    ke = shop.agent()
    await ke.connect()
    await settled(200)
    assert len(watcher.heard("agent_status")) == 1
