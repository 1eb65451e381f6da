"""Activation, passivation, stopping, reminders, side work and watching."""

import asyncio
from random import Random

import anyio
import pytest

from actors import (
    Actor,
    ActorCrashed,
    ActorStopped,
    Kind,
    LimitReached,
    Reason,
    Router,
)
from tests.actors.stage import Do, Gate, Player, Say, Script, blocked, open_stage


async def test_the_first_message_activates() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        assert router.tree().count == 0
        await ref.ask(Say("hello"), within=1)
        await ref.ask(Say("again"), within=1)
        assert router.tree().count == 1
    assert script.log == ["(activated)", "hello", "again", "(passivated)"]


async def test_messages_wait_while_the_state_is_loaded() -> None:
    script = Script()
    gate = Gate()
    script.activate = gate
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        assert ref.tell("one")
        await gate.entered.wait()
        assert ref.tell("two")
        assert script.said() == []
        gate.opened.set()
    assert script.log == ["(activated)", "one", "two", "(passivated)"]


async def test_an_idle_actor_is_passivated_and_comes_back() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Say("a"), within=1)
        await asyncio.sleep(59)
        assert router.tree().count == 1
        await ref.ask(Say("b"), within=1)
        await asyncio.sleep(59)
        assert router.tree().count == 1
        await asyncio.sleep(2)
        assert router.tree().count == 0
        await ref.ask(Say("c"), within=1)
    passivated = "(passivated)"
    assert script.log == ["(activated)", "a", "b", passivated, "(activated)", "c", passivated]


async def test_an_actor_that_may_not_be_passivated_stays() -> None:
    script = Script(may_passivate=False)
    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Say("a"), within=1)
        await asyncio.sleep(1000)
        assert router.tree().count == 1
        script.may_passivate = True
        await asyncio.sleep(61)
        assert router.tree().count == 0


async def test_a_kind_may_never_be_passivated() -> None:
    async with open_stage(Script(), idle_timeout_s=float("inf")) as router:
        await router.ref("player", "one").ask(Say("a"), within=1)
        await asyncio.sleep(100_000)
        assert router.tree().count == 1


async def test_a_message_arriving_during_passivation_goes_to_the_next_incarnation() -> None:
    script = Script()
    gate = Gate()
    script.passivate = gate
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Say("a"), within=1)
        await gate.entered.wait()
        assert ref.tell("b")
        answer = asyncio.create_task(ref.ask(Say("c"), within=1))
        gate.opened.set()
        assert await answer == "c"
        assert router.tree().count == 1
    assert script.log[:5] == ["(activated)", "a", "(passivated)", "(activated)", "b"]


async def test_a_message_that_overtakes_the_order_to_passivate_is_handled_first() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Say("a"), within=1)
        loop = asyncio.get_running_loop()
        # The moment the idle timeout is due, before the turn that would passivate it.
        told = [loop.call_at(60.0 + step / 1000, ref.tell, str(step)) for step in range(0, 200, 9)]
        await asyncio.sleep(61)
    assert [line for line in script.said() if line != "a"] == [
        str(step) for step in range(0, 200, 9)
    ]
    assert len(told) == 23


async def test_a_failure_while_passivating_is_reported_and_forgotten() -> None:
    script = Script()

    async def fail(player: Player) -> None:
        raise OSError("disk full")

    script.passivate = fail
    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Say("a"), within=1)
        await asyncio.sleep(61)
        assert router.tree().count == 0
        assert router.tree().failed == 1
    assert [name for _, name in script.crashes] == ["OSError"]


async def test_a_cancelled_wait_while_passivating_is_a_failure_too() -> None:
    script = Script()

    async def wait_for_the_cancelled(player: Player) -> None:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    script.passivate = wait_for_the_cancelled
    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Say("a"), within=1)
    assert [name for _, name in script.crashes] == ["CancelledError"]


async def stop(player: Player) -> None:
    player.context.stop()


async def test_an_actor_that_stops_refuses_what_was_queued() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        ref.tell(Do(stop))
        ref.tell("too late")
        answer = asyncio.create_task(ref.ask(Say("too late"), within=5))
        await asyncio.sleep(0.1)
        gate.opened.set()
        with pytest.raises(ActorStopped):
            await answer
        assert await ref.ask(Say("a new one"), within=1) == "a new one"
        assert router.tree().dead_letters == {"stopped": 2}
    passivated = "(passivated)"
    assert script.log == ["(activated)", passivated, "(activated)", "a new one", passivated]


async def test_a_message_arriving_while_it_stops_goes_to_the_next_incarnation() -> None:
    script = Script()
    gate = Gate()
    script.passivate = gate
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        ref.tell(Do(stop))
        await gate.entered.wait()
        ref.tell("next")
        gate.opened.set()
        assert await ref.ask(Say("b"), within=1) == "b"
    assert script.said() == ["next", "b"]


async def test_stopping_ends_reminders_and_side_work() -> None:
    script = Script()

    async def start(player: Player) -> None:
        async def work() -> str:
            await asyncio.sleep(5)
            return "never"

        player.context.remind("later", 5, "never")
        assert player.context.spawn(work, within=10)

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(start), within=1)
        await ref.ask(Do(stop), within=1)
        await asyncio.sleep(20)
        assert router.tree().count == 0
    assert script.said() == []


async def test_the_context_of_a_dead_incarnation_cannot_end_the_next() -> None:
    kept: list[Player] = []

    async def keep(player: Player) -> None:
        kept.append(player)
        player.context.stop()

    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(keep), within=1)
        await asyncio.sleep(1)
        assert router.tree().count == 0
        await ref.ask(Say("next"), within=1)
        kept[0].context.stop()
        await asyncio.sleep(1)
        assert router.tree().count == 1


async def test_a_reminder_comes_once_and_the_same_key_replaces_it() -> None:
    script = Script()

    async def set_reminders(player: Player) -> None:
        player.context.remind("a", 5, "first")
        player.context.remind("a", 7, "second")
        player.context.remind("b", 6, "other")
        player.context.remind("c", 6, "forgotten")
        player.context.forget("c")
        player.context.forget("never set")

    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Do(set_reminders), within=1)
        await asyncio.sleep(5.5)
        assert script.said() == []
        await asyncio.sleep(20)
    assert script.said() == ["other", "second"]


async def test_a_reminder_survives_passivation_and_a_full_mailbox() -> None:
    script = Script()

    async def set_reminder(player: Player) -> None:
        player.context.remind("a", 100, "reminded")

    async with open_stage(script, mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(set_reminder), within=1)
        await asyncio.sleep(90)
        assert router.tree().count == 0
        gate = await blocked(ref)
        assert ref.tell("full")
        await asyncio.sleep(20)
        gate.opened.set()
        await asyncio.sleep(1)
        assert script.said() == ["full", "reminded"]
        await ref.ask(Do(set_reminder), within=1)
        await asyncio.sleep(101)
        assert script.said() == ["full", "reminded", "reminded"]


async def test_reminders_have_a_limit() -> None:
    async def set_too_many(player: Player) -> None:
        for number in range(256):
            player.context.remind(str(number), 1, "x")
        player.context.remind("255", 2, "x")
        with pytest.raises(LimitReached):
            player.context.remind("256", 1, "x")

    async with open_stage(Script()) as router:
        await router.ref("player", "one").ask(Do(set_too_many), within=1)


async def test_reminders_end_with_the_router() -> None:
    async def set_reminder(player: Player) -> None:
        player.context.remind("a", 100, "x")

    script = Script()
    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Do(set_reminder), within=1)
    await asyncio.sleep(200)
    assert script.said() == []


async def test_side_work_comes_back_as_a_message() -> None:
    script = Script()
    seen: list[float | None] = []

    async def start(player: Player) -> list[bool]:
        async def work() -> str:
            seen.append(player.context.deadline)
            await asyncio.sleep(1)
            return "result"

        async def silent() -> None:
            await asyncio.sleep(1)

        works = [work, silent, silent, silent, silent]
        return [player.context.spawn(each, within=5) for each in works]

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        started = asyncio.get_running_loop().time()
        assert await ref.ask(Do(start), within=1) == [True] * 4 + [False]
        assert await ref.ask(Say("meanwhile"), within=1) == "meanwhile"
        await asyncio.sleep(2)
        assert await ref.ask(Do(start), within=1) == [True] * 4 + [False]
    assert script.said() == ["meanwhile", "result", "result"]
    assert seen[0] == pytest.approx(started + 5)


async def test_an_actor_is_not_passivated_while_side_work_runs() -> None:
    script = Script()

    async def start(player: Player) -> None:
        async def work() -> None:
            await asyncio.sleep(500)

        player.context.spawn(work, within=1000)

    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Do(start), within=1)
        await asyncio.sleep(499)
        assert router.tree().count == 1
        await asyncio.sleep(70)
        assert router.tree().count == 0


async def test_failing_and_overlong_side_work_is_reported() -> None:
    script = Script()

    async def start(player: Player) -> None:
        async def fail() -> None:
            raise OSError

        async def wait_for_the_cancelled() -> None:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone

        for work in (fail, wait_for_the_cancelled, anyio.sleep_forever):
            assert player.context.spawn(work, within=5)

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(start), within=1)
        await asyncio.sleep(6)
        assert await ref.ask(Say("fine"), within=1) == "fine"
        assert router.tree().restarts == 0
    names = sorted(name for _, name in script.crashes)
    assert names == ["CancelledError", "OSError", "TimeoutError"]


async def test_a_watcher_is_told_once_when_the_other_stops() -> None:
    script = Script()

    async def watch(player: Player) -> None:
        player.context.watch(player.context.ref("player", "other"), "it ended")

    async with open_stage(script) as router:
        watcher, other = router.ref("player", "watcher"), router.ref("player", "other")
        await watcher.ask(Do(watch), within=1)
        await watcher.ask(Do(watch), within=1)
        await other.ask(Say("passivated"), within=1)
        await asyncio.sleep(100)
        assert script.said() == ["passivated"]
        for _ in range(2):
            await other.ask(Do(stop), within=1)
            await asyncio.sleep(1)
        assert script.said() == ["passivated", "it ended"]


async def test_one_that_stopped_is_told_nothing_more() -> None:
    script = Script()

    async def watch(player: Player) -> None:
        player.context.watch(player.context.ref("player", "other"), "it ended")

    async with open_stage(script) as router:
        for watcher in ("first", "second"):
            await router.ref("player", watcher).ask(Do(watch), within=1)
        for name in ("first", "other"):
            await router.ref("player", name).ask(Do(stop), within=1)
            await asyncio.sleep(1)
        assert script.said() == ["it ended"]
        await router.ref("player", "second").ask(Do(watch), within=1)
        await router.ref("player", "second").ask(Do(stop), within=1)
        await asyncio.sleep(1)
        await router.ref("player", "other").ask(Do(stop), within=1)
    assert script.said() == ["it ended"]


async def test_watches_have_a_limit() -> None:
    async def watch_too_many(player: Player) -> None:
        for number in range(1024):
            player.context.watch(player.context.ref("player", str(number)), "x")
        player.context.watch(player.context.ref("player", "0"), "y")
        with pytest.raises(LimitReached):
            player.context.watch(player.context.ref("player", "one more"), "x")

    async with open_stage(Script()) as router:
        await router.ref("player", "one").ask(Do(watch_too_many), within=1)


async def test_an_actor_may_tell_itself() -> None:
    script = Script()

    async def tell_me(player: Player) -> None:
        assert player.context.me.tell("to myself")

    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Do(tell_me), within=1)
    assert script.said() == ["to myself"]


async def test_stopping_drains_what_waits_and_refuses_what_comes() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        ref.tell("queued")
        waiting = asyncio.create_task(ref.ask(Say("asked"), within=5))
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(router.stop(within=10))
        await asyncio.sleep(0.1)
        assert not ref.tell("refused")
        with pytest.raises(ActorStopped):
            await ref.ask(Say("refused"), within=1)
        with pytest.raises(ActorStopped):
            await router.ref("player", "new").send("refused", within=1)
        gate.opened.set()
        await stopping
        assert await waiting == "asked"
        with pytest.raises(ActorStopped):
            await ref.ask(Say("refused"), within=1)
        await router.stop(within=10)
    assert script.log == ["(activated)", "queued", "asked", "(passivated)"]
    assert {letter.reason for letter in router.dead_letters} == {Reason.STOPPED}


async def test_actors_may_still_speak_to_each_other_while_draining() -> None:
    script = Script()

    async def say_goodbye(player: Player) -> None:
        if player.key != "second":
            assert await player.context.ref("player", "second").ask(Say("goodbye"), within=1)

    async def slow(player: Player) -> None:
        async def work() -> str:
            await asyncio.sleep(2)
            return "worked"

        async def silent() -> None:
            await asyncio.sleep(3)

        player.context.spawn(work, within=5)
        player.context.spawn(silent, within=5)

    script.passivate = say_goodbye
    async with open_stage(script) as router:
        await router.ref("player", "first").ask(Do(slow), within=1)
    assert script.said() == ["worked", "goodbye"]
    assert script.log.count("(passivated)") == 2
    assert script.crashes == []


async def test_what_does_not_finish_in_time_is_cancelled_and_its_asker_told() -> None:
    script = Script()
    cancelled: list[str] = []

    async def hang(player: Player) -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            cancelled.append(player.key)
            raise

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        hanging = asyncio.create_task(ref.ask(Do(hang), within=100))
        await asyncio.sleep(0.1)
        queued = asyncio.create_task(ref.ask(Say("queued"), within=100))
        await asyncio.sleep(0.1)
        started = asyncio.get_running_loop().time()
        await router.stop(within=3)
        assert asyncio.get_running_loop().time() - started == pytest.approx(3)
        for each in (hanging, queued):
            with pytest.raises(ActorStopped):
                await each
    assert cancelled == ["one"]
    assert script.said() == []


async def test_a_passivation_that_hangs_is_cancelled_when_time_is_up() -> None:
    script = Script()

    async def hang(player: Player) -> None:
        await anyio.sleep_forever()

    script.passivate = hang
    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Say("a"), within=1)
        await router.stop(within=1)
    assert script.crashes == []


async def test_a_sender_waiting_for_room_learns_of_the_stop() -> None:
    async with open_stage(Script(), mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        ref.tell("full")
        sender = asyncio.create_task(ref.send("waiting", within=100))
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(router.stop(within=10))
        with pytest.raises(ActorStopped):
            await sender
        gate.opened.set()
        await stopping


async def test_an_error_of_the_caller_comes_out_as_it_is() -> None:
    script = Script()

    async def run() -> None:
        async with open_stage(script) as router:
            await blocked(router.ref("player", "one"))
            raise LookupError

    with pytest.raises(LookupError):
        await run()
    assert script.log == ["(activated)"]


async def test_an_error_of_the_router_comes_out_and_ends_it() -> None:
    class Broken(Exception):
        pass

    def fail(*_: object) -> None:
        raise Broken

    script = Script()
    router = Router(
        [Kind("player", lambda key: Player(key, script))], random=Random(1), on_enter=fail
    )

    async def run() -> None:
        async with router:
            router.ref("player", "one").tell("x")
            await anyio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        await run()
    assert caught.group_contains(Broken)
    assert not router.ref("player", "one").tell("after")


async def test_cancelling_the_caller_cancels_the_actors() -> None:
    script = Script()

    async def run() -> None:
        async with open_stage(script) as router:
            await blocked(router.ref("player", "one"))
            await anyio.sleep_forever()

    task = asyncio.create_task(run())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.log == ["(activated)"]


async def test_hooks_see_each_turn_and_each_message() -> None:
    entered: list[str] = []
    observed: list[tuple[str, str, float]] = []
    script = Script()

    async def slow(player: Player) -> None:
        await asyncio.sleep(2)
        player.context.spawn(work, within=1)

    async def work() -> str:
        return "done"

    kinds = [
        Kind("player", lambda key: Player(key, script)),
        Kind("batch", lambda key: Player(key, script), batch_limit=4),
    ]
    router = Router(
        kinds,
        random=Random(1),
        on_enter=lambda id: entered.append(str(id)),
        observe=lambda id, name, took_s: observed.append((str(id), name, took_s)),
    )
    async with router:
        await router.ref("player", "one").ask(Do(slow), within=5)
        await router.ref("batch", "two").ask(Say("hello"), within=5)
    assert set(entered) == {"player/one", "batch/two"}
    assert ("player/one", "Do", 2.0) in observed
    assert ("player/one", "str", 0.0) in observed
    assert ("batch/two", "Say", 0.0) in observed


async def test_many_actors_wait_at_the_same_time() -> None:
    script = Script()
    async with open_stage(script) as router:
        gate = Gate()
        for number in range(200):
            router.ref("player", str(number)).tell(Do(gate))
        await gate.entered.wait()
        await asyncio.sleep(0.1)
        assert await router.ref("player", "free").ask(Say("free"), within=1) == "free"
        assert router.tree().count == 201
        gate.opened.set()


async def test_the_age_of_the_oldest_message_is_known() -> None:
    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        ref.tell("x")
        await asyncio.sleep(7)
        assert router.tree().oldest_s == pytest.approx(7)
        gate.opened.set()
        await ref.ask(Say("y"), within=1)
        assert router.tree().oldest_s == 0


async def test_the_age_does_not_grow_while_a_busy_actor_keeps_up() -> None:
    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")

        async def slow(player: Player) -> None:
            await asyncio.sleep(1)
            player.context.me.tell(Do(slow))

        ref.tell(Do(slow))
        ref.tell(Do(slow))
        await asyncio.sleep(100.5)
        assert router.tree().oldest_s < 5
        await router.stop(within=0)


async def test_an_actor_without_receive_says_so() -> None:
    router = Router([Kind("bare", lambda key: Actor[object]())], random=Random(1))
    async with router:
        with pytest.raises(ActorCrashed):
            await router.ref("bare", "one").ask(Say("x"), within=1)
        last = router.tree().children[0].last_error
        assert last is not None
        assert last.type_name == "NotImplementedError"
        assert last.where.startswith("actor.py:")
