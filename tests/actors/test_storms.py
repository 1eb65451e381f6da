"""Random lives on many seeds: whatever crashes, sleeps or is full, nothing is lost or doubled."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from actors import (
    Actor,
    ActorError,
    Kind,
    MailboxFull,
    Reason,
    Request,
    RestartPolicy,
    Router,
)
from actors.simulation import SimulationLoop

SENDERS, STEPS, KEYS = 4, 40, 3


@dataclass(frozen=True, slots=True)
class Step(Request[int]):
    sender: int
    number: int
    crashes: int
    """How often it makes the actor fail."""


class World:
    """What all actors of one storm share: chance, and what each has handled."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.handled: dict[str, list[Step]] = {}
        self.failures: Counter[Step] = Counter()
        self.running: set[str] = set()
        self.overlaps = 0


class Stormy(Actor[Step]):
    mailbox_limit = 6
    idle_timeout_s = 0.5

    def __init__(self, key: str, world: World) -> None:
        self.key = key
        self.world = world

    async def on_activate(self) -> None:
        await self.alone(0.3)

    async def on_passivate(self) -> None:
        await self.alone(0.3)

    async def receive(self, message: Step) -> int:
        await self.alone(0.1)
        if self.world.failures[message] < message.crashes:
            self.world.failures[message] += 1
            raise ValueError("storm")
        self.world.handled.setdefault(self.key, []).append(message)
        return message.number

    async def alone(self, within: float) -> None:
        """Wait a moment; nobody else may be at work for the same key."""
        self.world.overlaps += self.key in self.world.running
        self.world.running.add(self.key)
        await asyncio.sleep(self.world.chance.choice([0, 0, within]))
        self.world.running.remove(self.key)


async def send(router: Router, world: World, sender: int) -> Counter[str]:
    """Send steps to random actors in random ways; what became of them."""
    outcomes: Counter[str] = Counter()
    for number in range(STEPS):
        step = Step(sender, number, world.chance.choice([0] * 12 + [1, 2]))
        ref = router.ref("stormy", str(world.chance.randrange(KEYS)))
        way = world.chance.choice(["tell", "send", "ask"])
        try:
            if way == "tell":
                outcomes["taken" if ref.tell(step) else "refused"] += 1
            elif way == "send":
                await ref.send(step, within=world.chance.choice([0.2, 5]))
                outcomes["taken"] += 1
            else:
                answer = await ref.ask(step, within=world.chance.choice([0.2, 5]))
                assert answer == number
                outcomes["answered"] += 1
        except MailboxFull:
            outcomes["refused"] += 1
        except ActorError as error:
            outcomes[type(error).__name__] += 1
        await asyncio.sleep(world.chance.choice([0, 0, 0.05, 1]))
    return outcomes


async def storm(seed: int, batch_limit: int) -> tuple[World, Counter[str], Router]:
    world = World(seed)
    kind = Kind(
        "stormy",
        lambda key: Stormy(key, world),
        batch_limit=batch_limit,
        restart=RestartPolicy(intensity=1000),
    )
    async with Router([kind], random=world.chance, drain_within_s=1000) as router:
        results = await asyncio.gather(*(send(router, world, each) for each in range(SENDERS)))
    return world, sum(results, Counter()), router


def run(seed: int, batch_limit: int) -> tuple[World, Counter[str], Any]:
    with asyncio.Runner(loop_factory=lambda: SimulationLoop(seed)) as runner:
        return runner.run(storm(seed, batch_limit))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("batch_limit", [1, 4])
def test_nothing_is_lost_or_handled_twice(seed: int, batch_limit: int) -> None:
    world, outcomes, router = run(seed, batch_limit)
    handled = [step for steps in world.handled.values() for step in steps]
    assert len(handled) == len(set(handled))
    for steps in world.handled.values():
        for sender in range(SENDERS):
            numbers = [step.number for step in steps if step.sender == sender]
            assert numbers == sorted(numbers)
    dead = Counter(letter.reason for letter in router.dead_letters)
    assert set(dead) <= {Reason.EXPIRED, Reason.OVERFLOW, Reason.POISON}
    assert len(handled) + sum(dead.values()) == SENDERS * STEPS
    assert dead[Reason.OVERFLOW] == outcomes["refused"]
    assert sum(outcomes.values()) == SENDERS * STEPS
    assert world.overlaps == 0
    assert router.tree().count == 0


def test_a_storm_replays_exactly() -> None:
    first, again = run(11, 1), run(11, 1)
    assert first[0].handled == again[0].handled
    assert first[1] == again[1]
    assert first[2].dead_letters == again[2].dead_letters
