"""Crashes: restart, retry, poison, quarantine, and what askers are told."""

import asyncio
from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest

from actors import (
    Actor,
    ActorCrashed,
    ActorStopped,
    Kind,
    Reason,
    RestartPolicy,
    Router,
)
from tests.actors.stage import (
    BatchPlayer,
    Do,
    Failing,
    Gate,
    Player,
    Say,
    Script,
    blocked,
    elapse,
    open_stage,
)

NEVER = RestartPolicy(intensity=1000)


async def test_a_crash_drops_the_state_and_keeps_the_mailbox() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        for text in ("a", "boom", "b"):
            ref.tell(text)
        gate.opened.set()
        assert await ref.ask(Say("c"), within=1) == "c"
        tree = router.tree()
    activated = "(activated)"
    assert script.log == [activated, "a", activated, activated, "b", "c", "(passivated)"]
    assert (tree.failed, tree.restarts, tree.dead_letters) == (2, 2, {"poison": 1})
    assert router.dead_letters[0].message_type == "str"


async def test_a_message_that_fails_once_is_handled_after_the_restart() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        assert await ref.ask(Do(Failing(1)), within=1) == "worked"
    assert script.said() == ["worked"]
    assert router.dead_letters == ()


async def test_a_message_that_fails_twice_is_set_aside_and_its_asker_told() -> None:
    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")
        with pytest.raises(ActorCrashed):
            await ref.ask(Say("boom"), within=5)
        assert await ref.ask(Say("fine"), within=1) == "fine"
        last = router.tree().children[0].last_error
        assert last is not None
        assert last.type_name == "ValueError"
        assert last.where.startswith("stage.py:")
        assert "ValueError at stage.py" in router.format_tree()


async def test_an_actor_is_activated_again_though_nothing_waits() -> None:
    script = Script()
    async with open_stage(script) as router:
        router.ref("player", "one").tell("boom")
        await elapse(1)
        assert script.log == ["(activated)"] * 3


async def test_a_failed_batch_is_taken_apart_and_only_the_guilty_set_aside() -> None:
    script = Script()
    async with open_stage(script, BatchPlayer, restart=NEVER) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        asks = [
            asyncio.create_task(ref.ask(Say(text), within=5)) for text in ("a", "boom", "b", "c")
        ]
        await elapse(0.1)
        gate.opened.set()
        answers = await asyncio.gather(*asks, return_exceptions=True)
    assert [type(each) for each in answers].count(ActorCrashed) == 1
    assert sorted(str(each) for each in answers if isinstance(each, str)) == ["a", "b", "c"]
    # Each was replied to once: what came before the guilty one was not handled again.
    assert sorted(script.said()) == ["a", "b", "c"]
    assert {letter.reason for letter in router.dead_letters} == {Reason.POISON}


class AllOrNothing(BatchPlayer):
    """Replies only when the whole batch went well, as one transaction would."""

    async def receive_batch(self, letters: Any) -> None:
        self.script.log.append(f"(batch of {len(letters)})")
        for letter in letters:
            if letter.message == "boom":
                raise ValueError("boom")
        for letter in letters:
            letter.reply(await self.receive(letter.message))


async def test_letters_of_a_failed_batch_are_tried_one_by_one_in_order() -> None:
    script = Script()
    async with open_stage(script, AllOrNothing) as router:
        ref = router.ref("player", "one")
        for text in ("a", "b", "boom", "c", "d", "e"):
            ref.tell(text)
        assert await ref.ask(Say("f"), within=5) == "f"
    assert script.said() == ["a", "b", "c", "d", "e", "f"]
    batches = [line for line in script.log if "batch" in line]
    assert batches == ["(batch of 4)"] + ["(batch of 1)"] * 4 + ["(batch of 3)"]


async def test_restarts_wait_longer_and_longer() -> None:
    script = Script()
    times: list[float] = []

    async def fail(player: Player) -> None:
        times.append(player.context.now())
        if len(times) < 5:
            raise OSError

    script.activate = fail
    policy = RestartPolicy(intensity=10, jitter=0.0)
    async with open_stage(script, restart=policy) as router:
        assert await router.ref("player", "one").ask(Say("a"), within=5) == "a"
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == pytest.approx([0.0, 0.1, 0.2, 0.4])


async def test_a_crash_answers_nobody_who_has_been_answered() -> None:
    class Hasty(BatchPlayer):
        async def receive_batch(self, letters: Any) -> None:
            for letter in letters:
                letter.reply("early")
            raise ValueError("after the reply")

    async with open_stage(Script(), Hasty) as router:
        assert await router.ref("player", "one").ask(Say("x"), within=1) == "early"
        await elapse(1)
        assert router.tree().failed == 1
        assert router.dead_letters == ()


async def test_a_reply_may_come_after_the_batch() -> None:
    class Deferred(BatchPlayer):
        async def receive_batch(self, letters: Any) -> None:
            for letter in letters:
                asyncio.get_running_loop().call_later(1, letter.reply, "later")

    async with open_stage(Script(), Deferred) as router:
        assert await router.ref("player", "one").ask(Say("x"), within=5) == "later"


async def test_an_answer_in_the_round_of_the_deadline_counts() -> None:
    class Late(BatchPlayer):
        async def receive_batch(self, letters: Any) -> None:
            loop = asyncio.get_running_loop()
            loop.call_at(0.51 - 1e-10, letters[0].reply, "just in time")

    async with open_stage(Script(), Late) as router:
        assert asyncio.get_running_loop().time() == 0
        # The wheel ends it with its next tick, at 0.51 s.
        assert await router.ref("player", "one").ask(Say("x"), within=0.5) == "just in time"


async def test_a_wait_for_something_cancelled_is_a_crash_not_a_cancellation() -> None:
    script = Script()

    async def wait_for_the_cancelled(player: Player) -> None:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        with pytest.raises(ActorCrashed):
            await ref.ask(Do(wait_for_the_cancelled), within=5)
        assert await ref.ask(Say("fine"), within=1) == "fine"
    assert {name for _, name in script.crashes} == {"CancelledError"}


async def test_deadlines_inside_an_actor_are_its_own_business() -> None:
    async def bounded(player: Player) -> str:
        with anyio.move_on_after(1):
            await anyio.sleep_forever()
        return "moved on"

    async with open_stage(Script()) as router:
        assert await router.ref("player", "one").ask(Do(bounded), within=5) == "moved on"


async def test_a_crash_keeps_reminders_and_side_work() -> None:
    script = Script()

    async def start(player: Player) -> None:
        async def work() -> str:
            await elapse(1)
            return "worked"

        player.context.remind("a", 2, "reminded")
        player.context.spawn(work, within=5)

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(start), within=1)
        ref.tell("boom")
        await elapse(5)
    assert script.said() == ["worked", "reminded"]


async def test_a_factory_that_fails_is_supervised() -> None:
    tries: list[str] = []

    def make(key: str) -> Actor[Any]:
        tries.append(key)
        if len(tries) < 3:
            raise OSError("no database yet")
        return Player(key, Script())

    async with Router([Kind("player", make)], random=Random(1)) as router:
        assert await router.ref("player", "one").ask(Say("a"), within=5) == "a"
    assert tries == ["one"] * 3


async def test_a_question_whether_it_may_be_passivated_that_fails_is_a_crash() -> None:
    class Unsure(Player):
        def may_passivate(self) -> bool:
            raise ValueError("unsure")

    script = Script()
    async with open_stage(script, Unsure) as router:
        router.ref("player", "one").tell("a")
        await elapse(61)
        assert router.tree().restarts == 1
        assert await router.ref("player", "one").ask(Say("b"), within=1) == "b"
    assert script.said() == ["a", "b"]


async def test_neighbours_do_not_notice() -> None:
    script = Script()
    async with open_stage(script) as router:
        for _ in range(20):
            router.ref("player", "bad").tell("boom")
            assert await router.ref("player", "good").ask(Say("fine"), within=1) == "fine"
    assert script.said() == ["fine"] * 20


async def test_a_stop_while_waiting_to_restart_ends_cleanly() -> None:
    script = Script()
    script.activate = Failing(10**9)
    policy = RestartPolicy(first_delay_s=60.0, delay_cap_s=60.0, intensity=10)
    async with open_stage(script, restart=policy) as router:
        ref = router.ref("player", "one")
        asking = asyncio.create_task(ref.ask(Say("a"), within=500))
        await elapse(1)
        await router.stop(within=1)
        with pytest.raises(ActorStopped):
            await asking
    await elapse(100)


async def test_a_crash_in_the_middle_of_a_burst_loses_nothing() -> None:
    script = Script()
    gate = Gate()
    async with open_stage(script, mailbox_limit=100, restart=NEVER) as router:
        ref = router.ref("player", "one")
        ref.tell(Do(gate))
        await gate.entered.wait()
        for number in range(90):
            ref.tell("boom" if number % 10 == 5 else str(number))
        gate.opened.set()
        assert await ref.ask(Say("end"), within=100) == "end"
    kept = [str(number) for number in range(90) if number % 10 != 5]
    assert script.said() == [*kept, "end"]
    assert router.tree().dead_letters == {"poison": 9}
