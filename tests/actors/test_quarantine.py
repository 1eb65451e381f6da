"""Actors that keep failing rest for a while, and how others learn of it."""

import asyncio

import pytest

from actors import (
    ActorStopped,
    ActorUnavailable,
    Reason,
    RestartPolicy,
)
from tests.actors.stage import (
    Do,
    Failing,
    Player,
    Say,
    Script,
    elapse,
    open_stage,
)


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
        await elapse(1.5)
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
            await elapse(0.25)
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
        await elapse(100)
        assert failing.times == tries
        assert router.tree().count == 0
        assert router.tree().quarantined == 0


async def test_one_that_is_never_passivated_tries_again_by_itself() -> None:
    script = Script()
    script.activate = Failing(5)
    async with open_stage(script, idle_timeout_s=float("inf")) as router:
        with pytest.raises(ActorUnavailable):
            await router.ref("player", "one").ask(Say("a"), within=5)
        await elapse(2)
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
        await elapse(5)
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
    await elapse(5)
    assert router.tree().quarantined == 0
    assert router.tree().dead_letters == {"unavailable": 1, "stopped": 1}


async def test_an_actor_that_gives_up_during_a_drain_does_not_hold_it_up() -> None:
    script = Script()
    script.activate = Failing(10**9)
    async with open_stage(script) as router:
        waiting = asyncio.create_task(router.ref("player", "one").ask(Say("a"), within=50))
        await elapse(0.05)
        await router.stop(within=50)
        assert asyncio.get_running_loop().time() < 5
        with pytest.raises((ActorStopped, ActorUnavailable)):
            await waiting


async def test_a_quarantined_actor_given_up_in_a_drain_does_not_try_again() -> None:
    script = Script()
    script.activate = failing = Failing(6)
    async with open_stage(script) as router:
        with pytest.raises(ActorUnavailable):
            await router.ref("player", "one").ask(Say("a"), within=5)

        async def wait(player: Player) -> None:
            await elapse(10)

        script.activate = None
        await router.ref("player", "busy").ask(Say("b"), within=1)
        script.activate = failing
        router.ref("player", "busy").tell(Do(wait))
        await elapse(0.1)
        await router.stop(within=50)
    assert failing.times == 1
