"""The simulated loop: virtual time, replay, other orders for other seeds, no way out."""

import asyncio
from itertools import permutations

import pytest

from actors.simulation import SimulationDeadlock, SimulationLoop
from tests.actors.stage import elapse


def run(seed: int | None) -> tuple[str, float]:
    """The order in which four tasks finish, and the virtual time that took."""
    finished: list[str] = []

    async def task(name: str) -> None:
        await asyncio.sleep(0)
        finished.append(name)

    async def main() -> float:
        await asyncio.gather(*(task(name) for name in "abcd"))
        await elapse(3600)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=lambda: SimulationLoop(seed)) as runner:
        took_s = runner.run(main())
    return "".join(finished), took_s


def test_a_seed_replays_and_seeds_see_every_order() -> None:
    assert run(7) == run(7)
    assert run(None)[0] == "abcd"
    assert run(None)[1] == pytest.approx(3600)
    seen = {run(seed)[0] for seed in range(300)}
    assert seen == {"".join(order) for order in permutations("abcd")}


def test_waiting_for_nothing_is_an_error() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    loop = SimulationLoop(1)
    task = loop.create_task(wait_for_ever())
    with pytest.raises(SimulationDeadlock):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_there_are_no_threads() -> None:
    async def use_a_thread() -> None:
        await asyncio.to_thread(print)

    with asyncio.Runner(loop_factory=lambda: SimulationLoop(1)) as runner:
        with pytest.raises(RuntimeError, match="no threads"):
            runner.run(use_a_thread())


def test_a_callback_from_elsewhere_is_taken() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()
        loop.call_soon_threadsafe(done.set_result, "done")
        return await done

    with asyncio.Runner(loop_factory=lambda: SimulationLoop(1)) as runner:
        assert runner.run(main()) == "done"
