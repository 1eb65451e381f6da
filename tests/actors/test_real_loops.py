"""The same on the loops that production runs: asyncio's own and uvloop."""

import asyncio
from typing import Any

import pytest
import uvloop

from actors import DeadlineExceeded
from tests.actors.stage import Do, Gate, Player, Say, Script, open_stage


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    return "asyncio", {"loop_factory": factory}


async def test_a_life_on_a_real_loop() -> None:
    script = Script()

    async def remind(player: Player) -> None:
        player.context.remind("soon", 0.01, Do(reminded))

    done = asyncio.Event()

    async def reminded(player: Player) -> None:
        done.set()

    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        assert ref.tell("first")
        assert await ref.ask(Say("second"), within=5) == "second"
        await ref.ask(Do(remind), within=5)
        async with asyncio.timeout(5):
            await done.wait()
        gate = Gate()
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(DeadlineExceeded):
            await ref.ask(Do(gate), within=0.05)
        assert loop.time() - started >= 0.049
        gate.opened.set()
        ref.tell("boom")
        assert await ref.ask(Say("after the crash"), within=5) == "after the crash"
    assert script.said() == ["first", "second", "after the crash"]
    assert script.log[-1] == "(passivated)"


async def test_a_burst_over_many_actors_is_handled_in_order() -> None:
    script = Script()
    async with open_stage(script, mailbox_limit=1000) as router:
        refs = [router.ref("player", str(number)) for number in range(50)]
        for step in range(200):
            for ref in refs:
                assert ref.tell(f"{ref.id.key}:{step}")
            await asyncio.sleep(0)
    for ref in refs:
        mine = [line for line in script.said() if line.split(":")[0] == ref.id.key]
        assert mine == [f"{ref.id.key}:{step}" for step in range(200)]


async def test_a_busy_actor_lets_the_loop_go_on() -> None:
    script = Script()

    async def tell_me_again(player: Player) -> None:
        if not stop.is_set():
            player.context.me.tell(Do(tell_me_again))

    stop = asyncio.Event()
    async with open_stage(script) as router:
        router.ref("player", "busy").tell(Do(tell_me_again))
        loop = asyncio.get_running_loop()
        rounds = 0
        ends = loop.time() + 0.1
        while loop.time() < ends:
            await asyncio.sleep(0)
            rounds += 1
        stop.set()
    assert rounds > 3
