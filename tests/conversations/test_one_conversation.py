"""One customer's conversation on the real router: sending again, order, reading."""

from uuid import UUID

import pytest

from kefu.conversations import messages
from kefu.conversations.keys import REFUSED_KEPT_S
from kefu.conversations.texts import released
from kefu.storage.errors import StoreUnavailable
from protocol.server import NewMessage
from tests.fakes.shop import SEEDS, Shop, on_stage, play, settled
from tests.fakes.storage import Fault

# --- sending again -------------------------------------------------------------------------------


@on_stage
async def test_sending_again_is_answered_and_not_repeated(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    for _ in range(3):  # all of them in one batch
        wang.say("在吗", key="k")
    await settled()
    wang.say("在吗", key="k")
    await settled()

    receipts = wang.line.heard("message_ack")
    assert len(receipts) == 4
    assert {(receipt.message_id, receipt.seq) for receipt in receipts} == {
        (receipts[0].message_id, 1)
    }
    assert len(ke.line.heard("new_message")) == len(shop.storage.said(chat_id)) == 1


@on_stage
async def test_what_was_refused_unheard_is_not_said_behind_what_came_after_it(shop: Shop) -> None:
    """An instance that never heard of the refusal asks for its sender again, in the old order."""
    wang = shop.customer()
    chat_id = await wang.start()
    shop.storage.faults.append(Fault(StoreUnavailable("?")))
    wang.say("一", key="1")
    await settled()
    wang.say("二", key="2")
    await settled()
    assert wang.line.codes() == ["OVERLOADED"]
    for key, content in enumerate(("一", "二", "三"), start=1):
        wang.say(content, key=str(key))
    await settled()
    assert [row.content for row in shop.storage.said(chat_id)] == ["二", "三"]
    assert wang.line.codes() == ["OVERLOADED"] * 2
    wang.say("一", key="1")
    await settled()
    assert [row.content for row in shop.storage.said(chat_id)] == ["二", "三", "一"]


@on_stage
async def test_what_was_refused_is_not_let_in_when_its_first_sending_comes_late(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    ke.say("您好", wang, key="k")
    await settled()
    assert ke.line.codes() == ["CHAT_NOT_FOUND"]
    await ke.accept(chat_id, wang)
    ke.say("您好", wang, key="k")
    await settled(1)
    assert ke.line.codes() == ["CHAT_NOT_FOUND"] * 2
    assert shop.storage.said(chat_id) == []
    await settled(REFUSED_KEPT_S)
    ke.say("您好", wang, key="k")
    await settled()
    assert [row.content for row in shop.storage.said(chat_id)] == ["您好"]


@on_stage
async def test_the_same_key_for_another_message_is_refused(shop: Shop) -> None:
    wang = shop.customer()
    wang.say("一", key="k")
    wang.say("二", key="k")
    await settled()
    assert wang.line.codes() == ["INVALID_MESSAGE"]


@on_stage
async def test_two_senders_may_use_the_same_key(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    wang.say("一", key="k")
    ke.say("二", wang, key="k")
    await settled()
    assert {row.content for row in shop.storage.said(chat_id)} == {"一", "二"}


@on_stage
async def test_a_key_older_than_the_window_is_found_in_the_store(shop: Shop) -> None:
    wang = shop.customer()
    wang.say("0", key="k-0")
    await settled()
    for number in range(1, 700):
        wang.say(str(number), key=f"k-{number}")
        if number % 50 == 0:
            await settled()
    await settled()
    wang.line.frames.clear()
    wang.say("0", key="k-0")
    wang.say("neu")
    await settled()
    assert wang.line.codes() == []
    assert [receipt.seq for receipt in wang.line.heard("message_ack")] == [1, 701]


# --- order ---------------------------------------------------------------------------------------


@on_stage
async def test_messages_are_kept_and_pushed_in_the_order_they_came(shop: Shop) -> None:
    shop.storage.commit_s = 0.05
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    for number in range(150):  # several batches
        wang.say(str(number))
        if number % 40 == 0:
            await settled(0.01)
    await settled(5)
    said = [str(number) for number in range(150)]
    assert [row.content for row in shop.storage.said(chat_id)] == said
    assert [message.content for message in ke.line.heard("new_message")] == said
    assert [message.seq for message in ke.line.heard("new_message")] == list(range(1, 151))
    assert len(shop.storage.entries) < 20


@on_stage
async def test_a_look_says_from_where_on_everything_is_pushed(shop: Shop) -> None:
    shop.storage.commit_s = 0.05
    wang = shop.customer()
    await wang.start()
    late = shop.listen(*wang.line.topics)
    late_frames = late.frames
    for number in range(20):
        wang.say(str(number))
        if number == 9:
            wang.ref.tell(messages.Describe(wang.party, origin=late.origin("look")))
        if number % 7 == 0:
            await settled(0.07)
    await settled(2)
    place = next(i for i, frame in enumerate(late_frames) if frame.reply_to == "look")
    after = [f.payload.seq for f in late_frames[place:] if isinstance(f, NewMessage)]
    last_seq = late_frames[place].payload.last_seq
    assert after == list(range(last_seq + 1, 21))


@on_stage
async def test_an_ended_chat_is_rated_even_when_the_next_one_began_meanwhile(shop: Shop) -> None:
    wang = shop.customer()
    first = await wang.start()
    wang.ref.tell(messages.EndChat(wang.line.origin(), wang.party))
    wang.ref.tell(messages.StartChat(wang.line.origin(), wang.customer, wants_human=True))
    wang.ref.tell(messages.RateChat(wang.line.origin(), wang.party, 5, first))
    await settled()
    assert wang.line.codes() == []
    assert shop.storage.chats[first].rating == 5
    assert (await wang.look()).status == "waiting"


@on_stage
async def test_a_refused_message_opens_no_chat(shop: Shop) -> None:
    wang = shop.customer()
    wang.say("?", chat_id=UUID(int=404))
    await settled()
    assert wang.line.codes() == ["CHAT_NOT_FOUND"]
    assert shop.storage.entries == []


@on_stage
async def test_typing_is_shown_to_the_other_side_alone(shop: Shop) -> None:
    ke, fu, wang = shop.agent(1), shop.agent(2), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    wang.ref.tell(messages.ShowTyping(wang.line.origin(), wang.party, True))
    await ke.accept(chat_id, wang)
    wang.ref.tell(messages.ShowTyping(wang.line.origin(), wang.party, True))
    wang.ref.tell(messages.ShowTyping(ke.line.origin(), ke.party, True, chat_id))
    wang.ref.tell(messages.ShowTyping(fu.line.origin(), fu.party, True, chat_id))
    await settled()
    assert [shown.sender_type for shown in ke.line.heard("typing")] == ["customer"]
    assert [shown.sender_type for shown in wang.line.heard("typing")] == ["agent"]
    assert fu.line.heard("typing") == []


@pytest.mark.parametrize(
    ("locale", "said"),
    [(None, "人工"), ("zh_CN", "人工"), ("zh-Hant-HK", "智慧"), ("de-DE", "The agent")],
)
def test_a_farewell_is_said_in_the_customers_language(locale: str | None, said: str) -> None:
    assert said in released(locale)


# --- reading -------------------------------------------------------------------------------------


@on_stage
async def test_reading_is_told_at_once_and_kept_a_little_later(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    ke.say("您好", wang)
    await settled()
    wang.ref.tell(messages.MarkRead(wang.line.origin(), wang.party, 99))
    await settled(0.1)
    assert [point.seq for point in ke.line.heard("read")] == [1]
    assert shop.storage.chats[chat_id].customer_read_seq == 0
    await settled(3)
    assert shop.storage.chats[chat_id].customer_read_seq == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_read_just_before_the_stop_is_kept(seed: int | None) -> None:
    chats: list[UUID] = []

    async def scene(shop: Shop) -> None:
        wang = shop.customer()
        chats.append(await wang.start())
        wang.say("一")
        wang.ref.tell(messages.MarkRead(wang.line.origin(), wang.party, 1))
        await settled(0.1)

    shop = play(scene, seed)
    assert shop.storage.chats[chats[0]].customer_read_seq == 1


@on_stage
async def test_reading_an_old_chat_says_nothing_of_the_new_one(shop: Shop) -> None:
    wang = shop.customer()
    await wang.start()
    wang.say("一")
    await settled()
    wang.ref.tell(messages.MarkRead(wang.line.origin(), wang.party, 1))
    wang.ref.tell(messages.EndChat(wang.line.origin(), wang.party))
    wang.ref.tell(messages.StartChat(wang.line.origin(), wang.customer, wants_human=True))
    await settled(5)
    chat_id = (await wang.look()).chat_id
    assert shop.storage.chats[chat_id].customer_read_seq == 0
