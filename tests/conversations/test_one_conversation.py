"""One customer's conversation on the real router: commit, then receipt, then the others."""

from uuid import UUID

import pytest

from kefu.conversations import messages
from kefu.conversations.commands import Refusal
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import Collided, Fenced, JournalFull, Unwritable
from protocol.codes import ErrorCode
from protocol.server import MessageAck, NewMessage, ToWorkbench
from tests.fakes.shop import SEEDS, Shop, on_stage, play, settled
from tests.fakes.storage import Fault

UNHEARD = StoreUnavailable("PostgreSQL does not answer.")


@on_stage
async def test_nobody_hears_of_a_message_before_it_is_durable(shop: Shop) -> None:
    early: list[ToWorkbench] = []

    def check(frame: ToWorkbench) -> None:
        if isinstance(frame, NewMessage | MessageAck):
            said = shop.storage.said(frame.payload.chat_id)
            if frame.payload.message_id not in {row.message_id for row in said}:
                early.append(frame)

    shop.at_frame, shop.storage.commit_s = check, 0.2
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    await ke.accept(await wang.start(), wang)
    wang.say("一")
    ke.say("二", wang)
    await settled(2)
    assert len(wang.line.heard("message_ack")) == len(ke.line.heard("message_ack")) == 1
    assert early == []


@pytest.mark.parametrize(
    "error", [UNHEARD, JournalFull(), Fenced()], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_commit_that_fails_is_told_to_every_sender_and_to_nobody_else(
    seed: int | None, error: Exception
) -> None:
    async def scene(shop: Shop) -> None:
        ke, wang = shop.agent(), shop.customer()
        await ke.connect()
        chat_id = await wang.start()
        await ke.accept(chat_id, wang)
        ke.line.frames.clear()
        wang.line.frames.clear()
        shop.storage.faults.append(Fault(error))
        wang.say("一")
        ke.say("二", wang)
        await settled()

        assert wang.line.codes() + ke.line.codes() == ["OVERLOADED", "OVERLOADED"]
        assert {frame.reply_to for frame in wang.line.frames} == {"一"}
        assert wang.line.tags == ke.line.tags == ["error"]
        assert wang.line.heard("error")[0].retry_after_s
        assert shop.storage.said(chat_id) == []

    assert play(scene, seed).crashes == []


@on_stage
async def test_a_message_that_got_there_unheard_is_heard_once_it_is_found(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    ke.line.frames.clear()
    shop.storage.faults.append(Fault(UNHEARD, is_written=True))
    wang.say("一", key="k")
    await settled()
    assert wang.line.codes() == ["OVERLOADED"]
    assert ke.line.tags == []

    await settled(5)  # nobody writes: the conversation looks by itself
    assert [state.last_seq for state in ke.line.heard("chat_status")] == [1]
    wang.say("一", key="k")
    await settled()
    assert [receipt.seq for receipt in wang.line.heard("message_ack")] == [1]
    assert len(shop.storage.said(chat_id)) == 1


@on_stage
async def test_an_end_that_got_there_unheard_frees_the_agent(shop: Shop) -> None:
    ke, wang = shop.agent(max_sessions=1), shop.customer()
    await ke.connect()
    await ke.accept(await wang.start(), wang)
    shop.storage.faults.append(Fault(UNHEARD, is_written=True))
    assert await wang.end() == Refusal(ErrorCode.OVERLOADED)
    assert ke.presence().active_count == 1
    await settled(5)
    assert ke.presence().active_count == 0
    assert ke.line.heard("chat_status")[-1].status == "ended"
    assert wang.line.heard("chat_status")[-1].status == "ended"


@on_stage
async def test_a_start_that_got_there_unheard_is_in_the_queue(shop: Shop) -> None:
    wang, ke = shop.customer(), shop.agent()
    await wang.start(wants_human=True)
    await wang.end()
    shop.storage.faults.append(Fault(UNHEARD, is_written=True))
    wish = messages.StartChat(wang.line.origin(), wang.customer, wants_human=True)
    assert await wang.ref.ask(wish, within=30) == Refusal(ErrorCode.OVERLOADED)
    await settled(5)
    status = wang.line.heard("chat_status")[-1]
    assert (status.status, status.queue_position) == ("waiting", 1)
    assert [change.change for change in ke.line.heard("queue_update")][-1] == "added"


@on_stage
async def test_a_store_that_is_down_is_asked_again_until_it_answers(shop: Shop) -> None:
    wang = shop.customer()
    shop.storage.is_down = True
    wang.say("一", key="k")
    await settled(30)
    assert wang.line.codes() == ["OVERLOADED"]
    shop.storage.is_down = False
    wang.say("一", key="k")
    await settled()
    assert wang.line.tags == ["error", "chat_status", "message_ack"]


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


# --- collisions ----------------------------------------------------------------------------------


@on_stage
async def test_after_a_collision_the_truth_is_read_and_decided_once_more(shop: Shop) -> None:
    wang = shop.customer()
    chat_id = await wang.start()
    loads = shop.storage.load_count
    shop.storage.faults.append(Fault(Collided()))
    wang.say("一")
    await settled()
    assert shop.storage.load_count == loads + 1
    assert [receipt.seq for receipt in wang.line.heard("message_ack")] == [1]
    assert [row.content for row in shop.storage.said(chat_id)] == ["一"]


@on_stage
async def test_a_second_collision_is_told_and_not_tried_for_ever(shop: Shop) -> None:
    wang = shop.customer()
    chat_id = await wang.start()
    shop.storage.faults += [Fault(Collided()), Fault(Collided())]
    wang.say("一")
    await settled()
    assert wang.line.codes() == ["OVERLOADED"]
    assert shop.storage.said(chat_id) == []


@on_stage
async def test_what_another_owner_wrote_stays_and_ours_comes_behind(shop: Shop) -> None:
    wang = shop.customer()
    chat_id = await wang.start()
    wang.say("一")
    await settled()
    (row,) = shop.storage.said(chat_id)
    key = (chat_id, 2)
    other = type(row)(
        **{name: getattr(row, name) for name in row.__struct_fields__}
        | {"seq": 2, "message_id": UUID(int=9), "content": "二"}
    )
    shop.storage.messages_by_place[key] = other
    wang.say("三")
    await settled()
    assert [row.content for row in shop.storage.said(chat_id)] == ["一", "二", "三"]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_can_never_be_written_is_answered_and_takes_nobody_along(seed: int | None) -> None:
    async def scene(shop: Shop) -> None:
        wang = shop.customer()
        await wang.start()
        shop.storage.faults += [Fault(Unwritable("X")), None, Fault(Unwritable("X"))]
        for text in ("一", "二", "三"):
            wang.say(text)
        await settled(5)
        assert wang.line.codes() == ["INTERNAL"]
        assert len(wang.line.heard("message_ack")) == 2

    assert len(play(scene, seed).crashes) == 2


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
