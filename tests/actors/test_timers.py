"""The deadline wheel keeps its promise for any set of deadlines."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from actors.simulation import SimulationLoop
from actors.timers import EARLY_S, Wheel
from tests.actors.stage import elapse

TICK_S = 0.01
delays = st.lists(st.floats(0, 30), min_size=1, max_size=50)


@given(delays, st.integers(0, 5))
def test_every_deadline_fires_once_within_one_tick(delays: list[float], seed: int) -> None:
    fired: list[tuple[int, float]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        wheel: Wheel[int, float] = Wheel(
            loop, TICK_S, lambda key, at: fired.append((key, loop.time() - at))
        )
        for number, delay in enumerate(delays):
            wheel.add(number, loop.time() + delay, loop.time() + delay)
            await elapse(0.003)
        await elapse(31)

    with asyncio.Runner(loop_factory=lambda: SimulationLoop(seed)) as runner:
        runner.run(run())
    assert sorted(number for number, _ in fired) == list(range(len(delays)))
    assert all(-EARLY_S <= late <= TICK_S + EARLY_S for _, late in fired)


async def test_what_is_taken_out_or_closed_does_not_fire() -> None:
    fired: list[str] = []
    loop = asyncio.get_running_loop()
    wheel: Wheel[str, None] = Wheel(loop, TICK_S, lambda key, _: fired.append(key))
    for key in ("a", "b", "c"):
        bucket = wheel.add(key, None, loop.time() + 1)
        if key == "b":
            bucket.pop("b")
    await elapse(2)
    assert fired == ["a", "c"]
    wheel.add("d", None, loop.time() + 1)
    wheel.close()
    await elapse(2)
    assert fired == ["a", "c"]
