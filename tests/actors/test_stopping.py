"""The end of a router: drained, out of time, cancelled, broken."""

import asyncio
from random import Random

import anyio
import pytest

from actors import (
    ActorStopped,
    Kind,
    Reason,
    Router,
)
from tests.actors.stage import Do, Gate, Player, Say, Script, blocked, elapse, open_stage


async def test_stopping_drains_what_waits_and_refuses_what_comes() -> None:
    script = Script()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        ref.tell("queued")
        waiting = asyncio.create_task(ref.ask(Say("asked"), within=5))
        await elapse(0.1)
        stopping = asyncio.create_task(router.stop(within=10))
        await elapse(0.1)
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
            await elapse(2)
            return "worked"

        async def silent() -> None:
            await elapse(3)

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
        await elapse(0.1)
        queued = asyncio.create_task(ref.ask(Say("queued"), within=100))
        await elapse(0.1)
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
        await elapse(0.1)
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
    await elapse(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.log == ["(activated)"]


async def test_what_actors_tell_each_other_while_draining_is_handled() -> None:
    script = Script()

    async def tell_the_other(player: Player) -> None:
        if player.key == "first":
            assert player.context.ref("player", "second").tell("goodbye")

    script.passivate = tell_the_other
    async with open_stage(script) as router:
        for key in ("first", "second"):
            await router.ref("player", key).ask(Say("hello"), within=1)
        await blocked_shortly(router)
    assert script.said() == ["hello", "hello", "goodbye"]


async def blocked_shortly(router: Router) -> None:
    """Keep the second actor alive for a second, so that it is draining when it is told."""

    async def wait(player: Player) -> None:
        await elapse(1)

    router.ref("player", "second").tell(Do(wait))
    await elapse(0.1)


async def test_side_work_that_outlives_the_router_is_heard_by_nobody() -> None:
    script = Script()

    async def start(player: Player) -> None:
        async def stubborn() -> str:
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                pass
            return "late"

        player.context.spawn(stubborn, within=100)
        player.context.spawn(anyio.sleep_forever, within=100)

    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Do(start), within=1)
        await router.stop(within=1)
        await elapse(1)
    assert script.said() == []
    assert [letter.reason for letter in router.dead_letters] == [Reason.STOPPED]
    assert script.crashes == []


async def test_an_actor_that_speaks_while_it_is_cancelled_hurts_nobody() -> None:
    told: list[bool] = []

    async def speak_at_the_end(player: Player) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            told.extend([player.context.ref("player", key).tell("last words") for key in "xyz"])

    script = Script()

    async def run() -> None:
        async with open_stage(script) as router:
            for key in "abc":
                router.ref("player", key).tell(Say("hello"))
            await router.ref("player", "a").ask(Say("hello"), within=1)
            for key in "ab":
                router.ref("player", key).tell(Do(speak_at_the_end))
            await anyio.sleep_forever()

    task = asyncio.create_task(run())
    await elapse(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(told) == 6
    assert script.said() == ["hello"] * 4


async def test_an_actor_born_during_a_drain_hears_actors_only() -> None:
    script = Script()
    gate = Gate()

    async def ask_the_other(player: Player) -> None:
        if player.key == "first":
            await player.context.ref("player", "second").ask(Do(gate), within=10)

    script.passivate = ask_the_other
    async with open_stage(script) as router:
        await router.ref("player", "first").ask(Say("hello"), within=1)
        stopping = asyncio.create_task(router.stop(within=20))
        await gate.entered.wait()
        assert not router.ref("player", "second").tell("from outside")
        gate.opened.set()
        await stopping
    assert script.said() == ["hello"]
