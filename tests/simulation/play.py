"""Plays one seed: storms until enough was said, then calm, in which everything must come right."""

import asyncio
import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple
from unittest.mock import patch

from anyio._backends._asyncio import CancelScope

from kefu.gateway.metrics import Metrics
from tests.simulation.history import History
from tests.simulation.judge import judge, judge_positions
from tests.simulation.loop import MortalLoop, hash_of_scope
from tests.simulation.world import World, is_injected

MESSAGES: Final = 1000
STORM_UP_TO_S: Final = 900.0
CONVERGE_S: Final = 30.0
TIDY_S: Final = 10.0
SETTLE_S: Final = 2.0
ANSWER_S: Final = 1.0
LOOKS: Final = 3
STILL_S: Final = 2.0


class Outcome(NamedTuple):
    seed: int
    nodes: int
    message_count: int
    """After how many the storms end."""
    violations: list[tuple[str, str]]
    history: History
    said: int
    took_s: float
    """Virtual seconds."""
    written: int
    sent: int
    """Frames that people sent."""
    shown: dict[str, int]
    """Frames that customers were sent, `str` and `bytes`; agents, words for them alone."""

    def __str__(self) -> str:
        """What a failing test says; the command shows everything."""
        broken = "; ".join(f"{rule}: {sentence}" for rule, sentence in self.violations[:3])
        replay = f"python -m tests.simulation --seed {self.seed}"
        if self.nodes > 1:
            replay += f" --nodes {self.nodes}"
        if self.message_count != MESSAGES:
            replay += f" --messages {self.message_count}"
        return f"{broken or 'nothing broken'}\n  {replay}"


def play(
    seed: int, message_count: int = MESSAGES, *, nodes: int = 1, is_late: bool = False
) -> Outcome:
    """Always the same for the same seed, the same number of nodes and the same program.

    `is_late`: a statement given up for lost may still take effect seconds later.
    """
    gc.disable()  # nearly all lives as long as the run, and looking for the rest costs a fifth
    gc.freeze()  # what was there before is not looked at afterwards, either
    try:
        with warnings.catch_warnings():
            outcome = _run(MortalLoop(seed), partial(World, seed, message_count), nodes, is_late)
            gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()
    return outcome


def _run(loop: MortalLoop, make: Callable[..., World], nodes: int, is_late: bool) -> Outcome:
    """All of it is forgotten with its return, but the outcome."""
    with (
        patch.object(CancelScope, "__hash__", hash_of_scope),
        _listening() as logged,
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        make = partial(make, loop, node_count=nodes, is_late=is_late)
        outcome = runner.run(_play(lambda: make(Metrics()), logged))
        # what the dead had begun and never came to is no news
        warnings.simplefilter("ignore", RuntimeWarning)
        loop.unwind()
    return outcome


async def _play(make: Callable[[], World], logged: list[logging.LogRecord]) -> Outcome:
    world = make()
    loop = world.loop
    loop.main = asyncio.current_task()
    loop.set_exception_handler(lambda _loop, told: world.violate("simulation", str(told)))
    world.begin()
    loop.call_later(STORM_UP_TO_S, world.finished.set)
    await world.finished.wait()
    if not world.violations:
        await _calm(world)
    for record in logged:
        error = record.exc_info[1] if record.exc_info else None
        if not is_injected(error):
            world.violate("I12", f"logged as a bug: {record.getMessage()} {error!r}")
    world.history.close()
    written = sum(len(messages) for messages in world.tables.messages.values())
    return Outcome(
        seed=world.seed,
        nodes=world.node_count,
        message_count=world.message_count,
        violations=world.violations,
        history=world.history,
        said=world.said,
        took_s=loop.time(),
        written=written,
        sent=world.sent,
        shown=dict(world.shown),
    )


async def _calm(world: World) -> None:
    world.note("weather", "info", "calm")
    world.weather.calm()
    world.redis.calm()
    world.nodes.wake_all()
    for link in world.network.links:
        link.go_on()
    await _pass(world, CONVERGE_S)
    await _until_still(world)
    judge(world)
    if not world.violations:
        for agent in world.agents:
            agent.say("subscribe_queue", {})
        await _pass(world, ANSWER_S)
        for _ in range(LOOKS):
            if not _is_list_on_its_way(world):
                break
            await _pass(world, ANSWER_S)
        judge_positions(world)
        world.is_tidying = True
        await _pass(world, TIDY_S)
        world.is_tidying = False
        await _pass(world, SETTLE_S)
        await _until_still(world)
        judge(world)


async def _until_still(world: World) -> None:
    """What was written just now, because a wait was over perhaps, not everybody knows yet."""
    for _ in range(LOOKS):
        written = (event.at for event in reversed(world.history.events) if event.kind == "store")
        if world.now - next(written, 0.0) > STILL_S:
            return
        await _pass(world, STILL_S)


def _is_list_on_its_way(world: World) -> bool:
    """To the one by whose list the places are judged: wires are late now and then, calm or not."""
    asked = world.agents[0].asked.values()
    return any(question.type == "subscribe_queue" for question in asked)


async def _pass(world: World, seconds: float) -> None:
    over = world.loop.create_future()
    world.loop.call_later(seconds, over.set_result, None)
    await over


class _Collector(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record)


@contextmanager
def _listening() -> Iterator[list[logging.LogRecord]]:
    """Collects what kefu logs as its own mistakes, and keeps it off the terminal."""
    handler = _Collector(logging.ERROR)
    log = logging.getLogger("kefu")
    was_propagating, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield handler.found
    finally:
        log.removeHandler(handler)
        log.propagate = was_propagating
