"""Commit, then receipt, then the others; and what is told when a commit fails or goes unheard."""

from uuid import UUID

import pytest

from kefu.conversations import messages
from kefu.conversations.commands import Refusal
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import Collided, Fenced, JournalFull, Unwritable
from protocol.codes import ErrorCode
from protocol.server import MessageAck, NewMessage, NoteAdded, ToWorkbench
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
    "errors",
    [[UNHEARD], [JournalFull()], [Fenced(), Fenced()]],
    ids=["unheard", "journal full", "fenced twice"],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_commit_that_fails_is_told_to_every_sender_and_to_nobody_else(
    seed: int | None, errors: list[Exception]
) -> None:
    async def scene(shop: Shop) -> None:
        ke, wang = shop.agent(), shop.customer()
        await ke.connect()
        chat_id = await wang.start()
        await ke.accept(chat_id, wang)
        ke.line.frames.clear()
        wang.line.frames.clear()
        shop.storage.faults += map(Fault, errors)
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
async def test_who_was_fenced_once_reads_anew_and_decides_again(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    shop.storage.faults.append(Fault(Fenced()))
    wang.say("一")
    await settled()
    assert [receipt.seq for receipt in wang.line.heard("message_ack")] == [1]
    assert len(shop.storage.said(chat_id)) == 1


@on_stage
async def test_who_was_fenced_after_it_had_to_leave_does_not_come_behind_its_next_life(
    shop: Shop,
) -> None:
    """Its slot may have come back to this very instance: then it would be let in once more."""
    wang = shop.customer()
    chat_id = await wang.start()
    shop.storage.commit_s = 1.0
    shop.storage.faults.append(Fault(Fenced()))
    wang.say("一")
    await settled(0.5)
    await shop.router.evict(lambda id: id.kind == messages.KIND, lambda *_: None, within=0.1)
    shop.storage.commit_s = 0.1
    wang.say("二")
    await settled()
    assert [row.content for row in shop.storage.said(chat_id)] == ["二"]
    assert wang.line.codes() == ["OVERLOADED"]


@on_stage
async def test_nobody_is_refused_by_what_only_an_earlier_owner_remembers(shop: Shop) -> None:
    wang, fu = shop.customer(), shop.agent(2)
    chat_id = await wang.start()
    elsewhere = Shop()
    elsewhere.storage = shop.storage
    async with elsewhere.router:
        there = elsewhere.agent(2)
        await there.connect()
        assert await there.accept(chat_id, elsewhere.customer()) is None

    fu.say("在", wang)
    await settled()
    assert fu.line.codes() == []
    assert len(fu.line.heard("message_ack")) == 1


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
async def test_a_place_in_doubt_is_free_though_it_could_not_be_read_when_it_was_time(
    shop: Shop,
) -> None:
    ke, wang, li = shop.agent(max_sessions=1), shop.customer(1), shop.customer(2)
    await ke.connect()
    lost, other = await wang.start(), await li.start()
    shop.storage.faults.append(Fault(UNHEARD))
    assert await ke.accept(lost, wang) is ErrorCode.OVERLOADED
    assert await ke.accept(other, li) is ErrorCode.AGENT_AT_CAPACITY
    await settled(5)
    shop.are_agents_moving = True
    await settled(30)
    shop.are_agents_moving = False
    await settled(30)
    assert await ke.accept(other, li) is None


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
async def test_an_end_and_a_new_start_that_got_there_unheard_are_both_found(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    first = await wang.start()
    await ke.accept(first, wang)
    shop.storage.faults.append(Fault(UNHEARD, is_written=True))
    wang.ref.tell(messages.EndChat(wang.line.origin(), wang.party))
    wang.ref.tell(messages.StartChat(wang.line.origin(), wang.customer, wants_human=True))
    await settled(5)
    statuses = [(status.chat_id, status.status) for status in wang.line.heard("chat_status")]
    second = (await wang.look()).chat_id
    assert statuses[-2:] == [(first, "ended"), (second, "waiting")]
    assert ke.presence().active_count == 0


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


# --- collisions and bugs -------------------------------------------------------------------------


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
    other = type(row)(
        **{name: getattr(row, name) for name in row.__struct_fields__}
        | {"seq": 2, "message_id": UUID(int=9), "content": "二"}
    )
    shop.storage.put(other)
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


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bug_after_the_commit_is_owned_up_to_and_decides_nothing_twice(seed: int | None) -> None:
    def fail_once(frame: ToWorkbench) -> None:
        if isinstance(frame, NoteAdded) and not shops[0].crashes:
            raise RuntimeError("a bug")

    async def scene(shop: Shop) -> None:
        shops.append(shop)
        ke, wang = shop.agent(), shop.customer()
        await ke.connect()
        chat_id = await wang.start()
        await ke.accept(chat_id, wang)
        shop.at_frame = fail_once
        note = messages.AddNote(ke.line.origin(), ke.party, chat_id, "老客户")
        assert await wang.ref.ask(note, within=30) == Refusal(ErrorCode.INTERNAL)
        await settled(5)
        assert ke.line.codes() == ["INTERNAL"]
        written = [row for row in shop.storage.happened(chat_id) if row.kind == "NoteWritten"]
        assert len(written) == 1

    shops: list[Shop] = []
    assert len(play(scene, seed).crashes) == 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("speaks", [False, True], ids=["alone", "spoken to"])
def test_what_a_life_that_crashed_had_written_is_told_by_the_next(
    seed: int | None, speaks: bool
) -> None:
    async def scene(shop: Shop) -> None:
        ke, wang = shop.agent(max_sessions=1), shop.customer()
        await ke.connect()
        first = await wang.start()
        await ke.accept(first, wang)
        shop.storage.faults.append(Fault(RuntimeError("a bug"), is_written=True))
        assert await wang.end() == Refusal(ErrorCode.INTERNAL)
        if speaks:  # the next life knows how the chat stands, and goes on from there
            await wang.start()
        await settled(5)
        assert ke.presence().active_count == 0
        (told,) = [s for s in wang.line.heard("chat_status") if s.status == "ended"]
        assert told.chat_id == first

    assert len(play(scene, seed).crashes) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_told_even_if_the_next_life_crashes_too(seed: int | None) -> None:
    async def scene(shop: Shop) -> None:
        ke, wang = shop.agent(), shop.customer()
        await ke.connect()
        first = await wang.start()
        await ke.accept(first, wang)
        shop.storage.faults += [Fault(RuntimeError("a bug"), is_written=True)]
        shop.storage.faults += [Fault(RuntimeError("a bug"), is_written=True), None]
        wang.say("一", "1")
        await settled(0.5)
        wang.say("二", "2")
        await settled(0.5)
        wang.say("三", "3")
        await settled(5)
        assert ke.line.heard("chat_status")[-1].last_seq == 3
        assert len(shop.storage.said(first)) == 3

    assert len(play(scene, seed).crashes) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_told_in_between_tells_nothing_that_was_said_behind_it(seed: int | None) -> None:
    """Letters of one commit are told of one by one: a status among them says how far the messages
    went then, not how far they go by now."""

    async def scene(shop: Shop) -> None:
        wang = shop.customer()
        chat_id = await wang.start()
        stored = await shop.storage.latest(wang.party.id)
        assert stored is not None
        shop.storage.commit_s = 0.2
        wang.say("一")
        await settled(0.1)
        for between in (messages.LookAgain(stored.chat), messages.QueueMoved(chat_id, 7)):
            assert wang.ref.tell(between)
            assert wang.ref.tell(messages.Describe(wang.party, chat_id, wang.line.origin("1")))
            wang.say("二")
        await settled(2)
        assert [row.seq for row in shop.storage.said(chat_id)] == [1, 2, 3]
        told = wang.line.heard("chat_status")
        assert 7 in {status.queue_position for status in told}
        assert [status.last_seq for status in told] == sorted(status.last_seq for status in told)

    play(scene, seed)
