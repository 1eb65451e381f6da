"""Telling, sending and asking: order, bounds, deadlines, answers."""

import asyncio
import gc
from collections.abc import Sequence

import pytest
from anyio import create_task_group, move_on_after

from actors import (
    ActorId,
    Coalesce,
    DeadlineExceeded,
    DropOldest,
    Letter,
    MailboxFull,
    NoRoute,
    Overflow,
    Reason,
    Reject,
)
from tests.actors.stage import (
    BatchPlayer,
    Do,
    Gate,
    Player,
    Say,
    Script,
    blocked,
    elapse,
    open_stage,
)


async def test_messages_of_one_sender_are_handled_in_order() -> None:
    script = Script()
    async with open_stage(script, mailbox_limit=500) as router:
        ref = router.ref("player", "one")
        texts = [str(number) for number in range(300)]
        assert all(ref.tell(text) for text in texts)
        assert await ref.ask(Say("last"), within=1) == "last"
    assert script.said() == [*texts, "last"]


async def test_an_address_reads_as_kind_and_key() -> None:
    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")
        assert ref.id == ActorId("player", "one")
        assert f"{ref.id}" == "player/one"
        assert repr(ref) == "<ref player/one>"


async def test_a_full_mailbox_refuses_and_counts() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        assert [ref.tell(str(number)) for number in range(9)] == [True] * 8 + [False]
        with pytest.raises(MailboxFull):
            await ref.ask(Say("no"), within=1)
        assert router.tree().dead_letters == {"overflow": 2}
        assert router.tree().depth_max == 8
        gate.opened.set()
    assert script.said() == [str(number) for number in range(8)]
    assert [letter.message_type for letter in router.dead_letters] == ["str", "Say"]


async def test_the_limit_of_the_class_holds_from_the_first_burst() -> None:
    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")
        assert [ref.tell("x") for _ in range(10)].count(True) == 8


async def test_send_waits_for_room_and_keeps_order() -> None:
    script = Script()
    async with open_stage(script, mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)

        async def send_many() -> None:
            for number in range(5):
                await ref.send(str(number), within=5)

        async with create_task_group() as group:
            group.start_soon(send_many)
            await elapse(1)
            assert router.tree().depth == 1
            gate.opened.set()
    assert script.said() == ["0", "1", "2", "3", "4"]


async def test_send_gives_up_at_its_deadline() -> None:
    async with open_stage(Script(), mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        await ref.send("fits", within=1)
        started = asyncio.get_running_loop().time()
        with pytest.raises(MailboxFull):
            await ref.send("does not", within=2)
        assert 2 <= asyncio.get_running_loop().time() - started < 2.02
        gate.opened.set()


async def test_a_cancelled_sender_passes_its_turn_on() -> None:
    async with open_stage(Script(), mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        assert ref.tell("fits")
        first = asyncio.create_task(ref.send("first", within=50))
        await elapse(0.1)
        second = asyncio.create_task(ref.send("second", within=50))
        await elapse(0.1)
        cell = router.find(ref.id)
        assert cell is not None
        assert cell.mailbox.take() == "fits"
        cell.mailbox.wake_senders()
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
        assert cell.mailbox.drain() == ["second"]
        gate.opened.set()


async def test_a_cancelled_sender_leaves_the_line() -> None:
    script = Script()
    async with open_stage(script, mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        assert ref.tell("fits")
        first = asyncio.create_task(ref.send("cancelled", within=50))
        await elapse(1)
        second = asyncio.create_task(ref.send("second", within=50))
        await elapse(1)
        first.cancel()
        gate.opened.set()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
    assert script.said() == ["fits", "second"]


async def test_an_answered_ask_leaves_nothing_behind() -> None:
    def count_futures() -> int:
        gc.collect()
        return sum(isinstance(each, asyncio.Future) for each in gc.get_objects())

    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")
        await ref.ask(Say("x"), within=100)
        before = count_futures()
        for _ in range(100):
            await ref.ask(Say("x"), within=100)
        assert count_futures() < before + 10


async def test_an_ask_ends_at_its_deadline_and_the_actor_goes_on() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = Gate()
        started = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded):
            await ref.ask(Do(gate), within=3)
        assert 3 <= asyncio.get_running_loop().time() - started < 3.02
        gate.opened.set()
        assert await ref.ask(Say("still here"), within=1) == "still here"


async def test_an_expired_message_is_not_handled() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        with pytest.raises(DeadlineExceeded):
            await ref.ask(Say("too late"), within=1)
        gate.opened.set()
        assert await ref.ask(Say("in time"), within=1) == "in time"
        assert router.tree().dead_letters == {"expired": 1}
        assert router.tree().handled == 3
    assert script.said() == ["in time"]


async def test_no_time_left_means_nothing_is_sent() -> None:
    script = Script()
    async with open_stage(script) as router:
        with pytest.raises(DeadlineExceeded):
            await router.ref("player", "one").ask(Say("x"), within=0)
    assert script.log == []


async def test_a_message_whose_asker_went_away_is_still_handled() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        with move_on_after(1):
            await ref.ask(Say("handled"), within=10)
        gate.opened.set()
    assert script.said() == ["handled"]


async def test_an_asker_cancelled_at_its_deadline_leaves_no_unread_error() -> None:
    unread: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unread.append(context))
    async with open_stage(Script(), mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        for attempt in (ref.ask(Say("x"), within=0.5), ref.send("y", within=0.5)):
            task = asyncio.create_task(attempt)
            loop.call_at(loop.time() + 0.51 + 1e-10, task.cancel)  # in the same round
            with pytest.raises((asyncio.CancelledError, DeadlineExceeded, MailboxFull)):
                await task
            del task, attempt
        gate.opened.set()
    assert unread == []


async def test_child_asks_inherit_the_earlier_deadline() -> None:
    seen: list[float | None] = []
    async with open_stage(Script()) as router:
        gate = Gate()

        async def ask_the_other(player: Player) -> None:
            seen.append(player.context.deadline)
            other = player.context.ref("player", "other")
            with pytest.raises(DeadlineExceeded):
                await other.ask(Do(gate), within=100)
            seen.append(player.context.now())

        started = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded):
            await router.ref("player", "one").ask(Do(ask_the_other), within=2)
        assert seen[0] == pytest.approx(started + 2)
        gate.opened.set()
        await elapse(0.1)
        assert seen[1] == pytest.approx(started + 2, abs=0.02)


async def test_a_message_without_asker_has_no_deadline_even_after_one_with() -> None:
    seen: list[float | None] = []

    async def look(player: Player) -> None:
        seen.append(player.context.deadline)

    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")
        async with create_task_group() as group:
            group.start_soon(lambda: ref.ask(Do(look), within=5))
            group.start_soon(lambda: ref.send(Do(look), within=5))
        assert await ref.ask(Say("done"), within=1) == "done"
    assert sorted(at is None for at in seen) == [False, True]


async def test_an_unknown_kind_has_no_route() -> None:
    async with open_stage(Script()) as router:
        stray = router.ref("ghost", "one")
        assert not stray.tell("hello")
        with pytest.raises(NoRoute):
            await stray.ask(Say("hello"), within=1)
        with pytest.raises(NoRoute):
            await stray.send("hello", within=1)
        assert router.tree().dead_letters == {"no_route": 3}
        assert "3 no_route" in router.format_tree()


async def test_a_router_that_does_not_run_refuses() -> None:
    router = open_stage(Script())
    assert not router.ref("player", "one").tell("early")
    assert router.dead_letters[0].reason is Reason.STOPPED
    assert router.tree().count == 0


async def test_the_first_reply_counts() -> None:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[int] = loop.create_future()
    letter = Letter("message", 1.0, answer)
    was_asked = letter.is_asked
    letter.reply(1)
    letter.reply(2)
    letter.fail(DeadlineExceeded("late"))
    assert await answer == 1
    assert (was_asked, letter.is_asked) == (True, False)
    Letter("told").reply("ignored")
    Letter("told").fail(DeadlineExceeded("ignored"))
    gone: asyncio.Future[int] = loop.create_future()
    gone.cancel()
    Letter("message", 1.0, gone).reply(3)
    Letter("message", 1.0, gone).fail(DeadlineExceeded("ignored"))


class Batching(BatchPlayer):
    """Replies to all letters only after the whole batch."""

    async def receive_batch(self, letters: Sequence[Letter[object]]) -> None:
        await super().receive_batch(letters)
        self.script.log.append(f"(deadline {self.context.deadline is not None})")


async def test_a_batch_takes_what_is_queued_up_to_its_limit() -> None:
    script = Script()
    async with open_stage(script, Batching) as router:
        ref = router.ref("player", "one")
        for number in range(6):
            ref.tell(str(number))
        assert await ref.ask(Say("last"), within=1) == "last"
    assert [line for line in script.log if "batch" in line] == ["(batch of 4)", "(batch of 3)"]
    assert script.said() == [*(str(number) for number in range(6)), "last"]


async def test_the_deadline_of_a_batch_is_the_latest_of_its_letters() -> None:
    script = Script()
    async with open_stage(script, Batching) as router:
        ref = router.ref("player", "one")
        async with create_task_group() as group:
            group.start_soon(lambda: ref.ask(Say("a"), within=5))
            group.start_soon(lambda: ref.ask(Say("b"), within=6))
    assert "(deadline True)" in script.log
    assert "(deadline False)" not in script.log


async def test_expired_letters_are_left_out_of_a_batch() -> None:
    script = Script()
    async with open_stage(script, BatchPlayer) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        with pytest.raises(DeadlineExceeded):
            await ref.ask(Say("too late"), within=1)
        gate.opened.set()
        await elapse(0.1)
        assert router.tree().dead_letters == {"expired": 1}
    assert script.said() == []


def by_class(message: object) -> Overflow:
    match str(message).partition(":")[0]:
        case "typing":
            return Coalesce("typing")
        case "presence":
            return DropOldest()
        case _:
            return Reject()


async def test_the_last_of_coalesced_messages_wins_in_the_place_of_the_first() -> None:
    script = Script()
    async with open_stage(script, overflow=by_class) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        for text in ("typing:1", "a", "typing:2", "typing:3"):
            assert ref.tell(text)
        assert router.tree().depth == 2
        gate.opened.set()
        await ref.ask(Say("b"), within=1)
        assert ref.tell("typing:4")
    assert script.said() == ["typing:3", "a", "b", "typing:4"]


async def test_droppable_messages_make_room_for_their_like_only() -> None:
    script = Script()
    async with open_stage(script, overflow=by_class, mailbox_limit=3) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        taken = [ref.tell(text) for text in ("a", "presence:1", "b", "presence:2", "c", "typing:1")]
        assert taken == [True, True, True, True, False, False]
        gate.opened.set()
    assert script.said() == ["a", "b", "presence:2"]
    assert [letter.reason for letter in router.dead_letters] == [Reason.OVERFLOW] * 3


async def test_a_mailbox_without_droppable_messages_refuses_a_droppable_one() -> None:
    async with open_stage(Script(), overflow=by_class, mailbox_limit=2) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        assert ref.tell("typing:1")
        assert ref.tell("a")
        assert not ref.tell("presence:1")
        gate.opened.set()
