"""Activation, passivation, stopping oneself, and what hooks see of it."""

import asyncio
from random import Random

import pytest

from actors import (
    Actor,
    ActorCrashed,
    ActorStopped,
    Kind,
    Router,
)
from tests.actors.stage import Do, Gate, Player, Say, Script, blocked, elapse, open_stage, stop


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
        await elapse(59)
        assert router.tree().count == 1
        await ref.ask(Say("b"), within=1)
        await elapse(59)
        assert router.tree().count == 1
        await elapse(2)
        assert router.tree().count == 0
        await ref.ask(Say("c"), within=1)
    passivated = "(passivated)"
    assert script.log == ["(activated)", "a", "b", passivated, "(activated)", "c", passivated]


async def test_an_actor_that_may_not_be_passivated_stays() -> None:
    script = Script(may_passivate=False)
    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Say("a"), within=1)
        await elapse(1000)
        assert router.tree().count == 1
        script.may_passivate = True
        await elapse(61)
        assert router.tree().count == 0


async def test_a_kind_may_never_be_passivated() -> None:
    async with open_stage(Script(), idle_timeout_s=float("inf")) as router:
        await router.ref("player", "one").ask(Say("a"), within=1)
        await elapse(100_000)
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
        await elapse(61)
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
        await elapse(61)
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


async def test_an_actor_that_stops_refuses_what_was_queued() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        ref.tell(Do(stop))
        ref.tell("too late")
        answer = asyncio.create_task(ref.ask(Say("too late"), within=5))
        await elapse(0.1)
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


async def test_a_sender_waiting_for_room_reaches_the_next_incarnation() -> None:
    script = Script()
    async with open_stage(script, mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        gate = Gate()

        async def wait_and_stop(player: Player) -> None:
            await gate(player)
            player.context.stop()

        ref.tell(Do(wait_and_stop))
        await gate.entered.wait()
        ref.tell("too late")
        sending = asyncio.create_task(ref.send("for the next", within=5))
        await elapse(0.1)
        gate.opened.set()
        await sending
        assert asyncio.get_running_loop().time() < 1
    assert script.said() == ["for the next"]


async def test_the_context_of_a_dead_incarnation_cannot_end_the_next() -> None:
    kept: list[Player] = []

    async def keep(player: Player) -> None:
        kept.append(player)
        player.context.stop()

    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(keep), within=1)
        await elapse(1)
        assert router.tree().count == 0
        await ref.ask(Say("next"), within=1)
        kept[0].context.stop()
        await elapse(1)
        assert router.tree().count == 1


async def test_hooks_see_each_turn_and_each_message() -> None:
    entered: list[str] = []
    observed: list[tuple[str, str, float]] = []
    script = Script()

    async def slow(player: Player) -> None:
        await elapse(2)
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
        await elapse(0.1)
        assert await router.ref("player", "free").ask(Say("free"), within=1) == "free"
        assert router.tree().count == 201
        gate.opened.set()


async def test_the_age_of_the_oldest_message_is_known() -> None:
    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        ref.tell("x")
        await elapse(7)
        assert router.tree().oldest_s == pytest.approx(7)
        gate.opened.set()
        await ref.ask(Say("y"), within=1)
        assert router.tree().oldest_s == 0


async def test_the_age_does_not_grow_while_a_busy_actor_keeps_up() -> None:
    async with open_stage(Script()) as router:
        ref = router.ref("player", "one")

        async def slow(player: Player) -> None:
            await elapse(1)
            player.context.me.tell(Do(slow))

        ref.tell(Do(slow))
        ref.tell(Do(slow))
        await elapse(100.5)
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


async def test_an_actor_at_work_when_its_idle_time_would_be_over_stays() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Say("a"), within=1)
        await elapse(50)
        gate = await blocked(ref)
        await elapse(50)
        gate.opened.set()
        await elapse(50)
        assert router.tree().count == 1
        await elapse(11)
        assert router.tree().count == 0


async def test_an_actor_may_be_passivated_unless_it_says_otherwise() -> None:
    class Silent(Actor[object]):
        idle_timeout_s = 1.0

        async def receive(self, message: object) -> None:
            pass

    async with Router([Kind("silent", lambda key: Silent())], random=Random(1)) as router:
        await router.ref("silent", "one").ask(Say("x"), within=1)
        await elapse(2)
        assert router.tree().count == 0
