"""What an actor may do to the world: reminders, side work, watching."""

import asyncio

import anyio
import pytest

from actors import (
    LimitReached,
)
from tests.actors.stage import Do, Player, Say, Script, blocked, elapse, open_stage, stop


async def test_stopping_ends_reminders_and_side_work() -> None:
    script = Script()

    async def start(player: Player) -> None:
        async def work() -> str:
            await elapse(5)
            return "never"

        player.context.remind("later", 5, "never")
        assert player.context.spawn(work, within=10)

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(start), within=1)
        await ref.ask(Do(stop), within=1)
        await elapse(20)
        assert router.tree().count == 0
    assert script.said() == []


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
        await elapse(5.5)
        assert script.said() == []
        await elapse(20)
    assert script.said() == ["other", "second"]


async def test_a_reminder_survives_passivation_and_a_full_mailbox() -> None:
    script = Script()

    async def set_reminder(player: Player) -> None:
        player.context.remind("a", 100, "reminded")

    async with open_stage(script, mailbox_limit=1) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(set_reminder), within=1)
        await elapse(90)
        assert router.tree().count == 0
        gate = await blocked(ref)
        assert ref.tell("full")
        await elapse(20)
        gate.opened.set()
        await elapse(1)
        assert script.said() == ["full", "reminded"]
        await ref.ask(Do(set_reminder), within=1)
        await elapse(101)
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
    await elapse(200)
    assert script.said() == []


async def test_side_work_comes_back_as_a_message() -> None:
    script = Script()
    seen: list[float | None] = []

    async def start(player: Player) -> list[bool]:
        async def work() -> str:
            seen.append(player.context.deadline)
            await elapse(1)
            return "result"

        async def silent() -> None:
            await elapse(1)

        works = [work, silent, silent, silent, silent]
        return [player.context.spawn(each, within=5) for each in works]

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        started = asyncio.get_running_loop().time()
        assert await ref.ask(Do(start), within=1) == [True] * 4 + [False]
        assert await ref.ask(Say("meanwhile"), within=1) == "meanwhile"
        await elapse(2)
        assert await ref.ask(Do(start), within=1) == [True] * 4 + [False]
    assert script.said() == ["meanwhile", "result", "result"]
    assert seen[0] == pytest.approx(started + 5)


async def test_an_actor_is_not_passivated_while_side_work_runs() -> None:
    script = Script()

    async def start(player: Player) -> None:
        async def work() -> None:
            await elapse(500)

        player.context.spawn(work, within=1000)

    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Do(start), within=1)
        await elapse(499)
        assert router.tree().count == 1
        await elapse(70)
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
        await elapse(6)
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
        await elapse(100)
        assert script.said() == ["passivated"]
        for _ in range(2):
            await other.ask(Do(stop), within=1)
            await elapse(1)
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
            await elapse(1)
        assert script.said() == ["it ended"]
        await router.ref("player", "second").ask(Do(watch), within=1)
        await router.ref("player", "second").ask(Do(stop), within=1)
        await elapse(1)
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


async def test_a_watcher_of_several_is_told_of_each() -> None:
    script = Script()

    async def watch(player: Player) -> None:
        for key in "ab":
            player.context.watch(player.context.ref("player", key), f"{key} ended")

    async with open_stage(script) as router:
        await router.ref("player", "watcher").ask(Do(watch), within=1)
        for key in "ba":
            await router.ref("player", key).ask(Do(stop), within=1)
            await elapse(1)
    assert script.said() == ["b ended", "a ended"]


async def test_side_work_that_will_not_be_cancelled_is_not_heard_after_the_end() -> None:
    script = Script()

    async def start(player: Player) -> None:
        async def stubborn() -> str:
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                pass
            return "late"

        player.context.spawn(stubborn, within=100)

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        await ref.ask(Do(start), within=1)
        await elapse(1)
        await ref.ask(Do(stop), within=1)
        await elapse(1)
        assert router.tree().count == 0
    assert script.said() == []
