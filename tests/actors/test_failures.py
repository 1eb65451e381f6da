"""Crashes: restart, retry, poison, quarantine, and what askers are told."""

import asyncio
from random import Random
from typing import Any

import anyio
import pytest

from actors import (
    Actor,
    ActorCrashed,
    ActorStopped,
    ActorUnavailable,
    Kind,
    Reason,
    RestartPolicy,
    Router,
)
from tests.actors.stage import BatchPlayer, Do, Gate, Player, Say, Script, blocked, open_stage

NEVER = RestartPolicy(intensity=1000)


class Failing:
    """Fails so many times, then works."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def __call__(self, player: Player) -> str:
        if self.times > 0:
            self.times -= 1
            raise OSError("not yet")
        player.script.log.append("worked")
        return "worked"


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
        await asyncio.sleep(1)
        assert script.log == ["(activated)"] * 3


async def test_a_failed_batch_is_taken_apart_and_only_the_guilty_set_aside() -> None:
    script = Script()
    async with open_stage(script, BatchPlayer, restart=NEVER) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        asks = [
            asyncio.create_task(ref.ask(Say(text), within=5)) for text in ("a", "boom", "b", "c")
        ]
        await asyncio.sleep(0.1)
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
    waits = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert waits == pytest.approx([0.0, 0.1, 0.2, 0.4])


async def test_activation_that_keeps_failing_ends_in_quarantine_and_recovers() -> None:
    script = Script()
    script.activate = failing = Failing(5)
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        ref.tell("kept")
        with pytest.raises(ActorUnavailable):
            await ref.ask(Say("waiting"), within=5)
        assert router.tree().quarantined == 1
        assert not ref.tell("refused")
        with pytest.raises(ActorUnavailable):
            await ref.ask(Say("refused"), within=5)
        with pytest.raises(ActorUnavailable):
            await ref.send("refused", within=5)
        assert failing.times == 0
        await asyncio.sleep(1.5)
        assert router.tree().quarantined == 0
        assert script.said() == ["worked", "kept"]
        assert router.tree().dead_letters == {"unavailable": 4}
        assert await ref.ask(Say("back"), within=1) == "back"


async def test_a_failed_trial_doubles_the_quarantine() -> None:
    script = Script()
    script.activate = Failing(10**9)
    quarantined: list[float] = []
    async with open_stage(script, restart=RestartPolicy(jitter=0.0)) as router:
        ref = router.ref("player", "one")
        ref.tell("kept")
        for _ in range(200):
            if router.tree().quarantined:
                quarantined.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.25)
        assert router.tree().failed == pytest.approx(5 + 5, abs=1)
        await router.stop(within=1)
    assert [letter.reason for letter in router.dead_letters] == [Reason.STOPPED]


async def test_a_quarantined_actor_nobody_wants_rests_and_is_forgotten() -> None:
    script = Script()
    script.activate = failing = Failing(10**9)
    async with open_stage(script) as router:
        with pytest.raises(ActorUnavailable):
            await router.ref("player", "one").ask(Say("a"), within=5)
        tries = failing.times
        await asyncio.sleep(100)
        assert failing.times == tries
        assert router.tree().count == 0
        assert router.tree().quarantined == 0


async def test_one_that_is_never_passivated_tries_again_by_itself() -> None:
    script = Script()
    script.activate = Failing(5)
    async with open_stage(script, idle_timeout_s=float("inf")) as router:
        with pytest.raises(ActorUnavailable):
            await router.ref("player", "one").ask(Say("a"), within=5)
        await asyncio.sleep(2)
        assert script.said() == ["worked"]


async def test_quarantine_tells_those_who_watch() -> None:
    script = Script()

    async def watch(player: Player) -> None:
        player.context.watch(player.context.ref("player", "other"), "it rests")

    async with open_stage(script) as router:
        await router.ref("player", "watcher").ask(Do(watch), within=1)
        other = router.ref("player", "other")
        for _ in range(3):
            other.tell("boom")
        await asyncio.sleep(5)
    assert script.said() == ["it rests"]


async def test_a_sender_waiting_for_room_learns_of_the_quarantine() -> None:
    script = Script()
    script.activate = Failing(5)
    async with open_stage(script, mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        ref.tell("full")
        with pytest.raises(ActorUnavailable):
            await ref.send("waiting", within=100)


async def test_a_quarantined_actor_does_not_hold_up_a_drain() -> None:
    script = Script()
    script.activate = Failing(10**9)
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        ref.tell("kept")
        with pytest.raises(ActorUnavailable):
            await ref.ask(Say("a"), within=5)
        started = asyncio.get_running_loop().time()
        await router.stop(within=50)
        assert asyncio.get_running_loop().time() == started
    await asyncio.sleep(5)
    assert router.tree().quarantined == 0
    assert router.tree().dead_letters == {"unavailable": 1, "stopped": 1}


async def test_an_actor_that_gives_up_during_a_drain_does_not_hold_it_up() -> None:
    script = Script()
    script.activate = Failing(10**9)
    async with open_stage(script) as router:
        waiting = asyncio.create_task(router.ref("player", "one").ask(Say("a"), within=50))
        await asyncio.sleep(0.05)
        await router.stop(within=50)
        assert asyncio.get_running_loop().time() < 5
        with pytest.raises((ActorStopped, ActorUnavailable)):
            await waiting


async def test_a_crash_answers_nobody_who_has_been_answered() -> None:
    class Hasty(BatchPlayer):
        async def receive_batch(self, letters: Any) -> None:
            for letter in letters:
                letter.reply("early")
            raise ValueError("after the reply")

    async with open_stage(Script(), Hasty) as router:
        assert await router.ref("player", "one").ask(Say("x"), within=1) == "early"
        await asyncio.sleep(1)
        assert router.tree().failed == 1
        assert router.dead_letters == ()


async def test_a_reply_may_come_after_the_batch() -> None:
    class Deferred(BatchPlayer):
        async def receive_batch(self, letters: Any) -> None:
            for letter in letters:
                asyncio.get_running_loop().call_later(1, letter.reply, "later")

    async with open_stage(Script(), Deferred) as router:
        assert await router.ref("player", "one").ask(Say("x"), within=5) == "later"


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
            await asyncio.sleep(1)
            return "worked"

        player.context.remind("a", 2, "reminded")
        player.context.spawn(work, within=5)

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(start), within=1)
        ref.tell("boom")
        await asyncio.sleep(5)
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
        await router.ref("player", "one").ask(Say("a"), within=1)
        await asyncio.sleep(61)
        assert router.tree().restarts == 1
        assert await router.ref("player", "one").ask(Say("b"), within=1) == "b"


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
        await asyncio.sleep(1)
        await router.stop(within=1)
        with pytest.raises(ActorStopped):
            await asking
    await asyncio.sleep(100)


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
