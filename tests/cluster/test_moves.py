"""Slots move under load, in every bad weather there is: nothing is lost, doubled or out of order.

A seed replays a run exactly. KEFU_SIMULATION_SEEDS says how many seeds there are.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

import pytest

from actors.simulation import SimulationLoop
from kefu.cluster.asking import Asking
from kefu.cluster.cluster import Cluster
from kefu.cluster.placement import SLOT_COUNT, slot_of
from kefu.cluster.ports import Member, View
from kefu.cluster.slots import RETRY_S
from kefu.cluster.transport import ClusterTransport
from tests.cluster.memory import MemoryClaims
from tests.cluster.town import Town, town_of
from tests.until import until

SEEDS = range(int(os.environ.get("KEFU_SIMULATION_SEEDS", "12")))
Misfortune = Callable[[Town], Coroutine[None, None, None]]
WRITERS = 10
SHARED_OUT_S, BEATS_S = 30.0, 5.0  # virtual ones
MARKS = 60
FLAPS, AWAY_S, BACK_S = 8, 0.6, 0.9
SOON_S, A_WHILE_S = 0.2, 0.05


async def grow(town: Town) -> None:
    if len(town.living) < 5:
        await town.join()


async def drain(town: Town) -> None:
    if len(town.staying) > 1:
        await town.chance.choice(town.staying).leave()


async def kill(town: Town) -> None:
    if len(town.staying) > 1:
        town.chance.choice(town.staying).kill()


async def freeze(town: Town) -> None:
    await town.chance.choice(town.living).freeze(town.chance.choice((0.5, 4.0, 6.0)))


async def redis_away(town: Town) -> None:
    await town.without_redis(town.chance.choice((2.0, 8.0)))


async def flush(town: Town) -> None:
    town.directory.forget()


WEATHER: tuple[Misfortune, ...] = (
    grow,
    drain,
    kill,
    freeze,
    redis_away,
    flush,
)


async def live_through(seed: int, plant: Callable[[Town], None] = lambda town: None) -> Town:
    """Five bad things, some at once, while everybody writes; then fair weather until all is
    done."""
    chance = Random(seed)
    async with town_of(3, chance) as town:
        plant(town)
        loop = asyncio.get_running_loop()
        writers = [
            loop.create_task(town.write(f"w{n}", f"box{n % 4}", MARKS)) for n in range(WRITERS)
        ]
        storms: list[asyncio.Task[None]] = []
        for _ in range(5):
            await asyncio.sleep(chance.random() * 2)
            storms.append(loop.create_task(chance.choice(WEATHER)(town)))
        await asyncio.gather(*storms)
        await asyncio.gather(*writers)
        await settled(town)
    return town


async def settled(town: Town) -> None:
    with suppress(AssertionError):
        await until(town.is_settled, within_s=30)
        return
    living = {each.name: each.cluster.slots.owned_count for each in town.living}
    clean = {each.name: each.is_clean() for each in town.living}
    town.store.faults.append(f"the town never came to rest: {living}, clean: {clean}")


@cache
def in_bad_weather(seed: int) -> Town:
    return run(seed)


def run(seed: int, plant: Callable[[Town], None] = lambda town: None) -> Town:
    with asyncio.Runner(loop_factory=lambda: SimulationLoop(seed)) as runner:
        return runner.run(live_through(seed, plant))


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_or_doubled_while_slots_move(seed: int) -> None:
    assert in_bad_weather(seed).faults() == []


# --- what a single misfortune costs ---------------------------------------------------------------


async def kill_an_owner(town: Town) -> None:
    """Of a box that everybody writes to."""
    owner = town.living[0].cluster.slots.owner(slot_of("box1"))
    next(each for each in town.living if each.name == owner).kill()


def has_everybody_a_share(town: Town) -> bool:
    return all(each.cluster.slots.owned_count > 250 for each in town.living)


async def _one_misfortune(seed: int, happens: Misfortune) -> Town:
    chance = Random(seed)
    async with town_of(3, chance) as town:
        town.slow_share = 0.0
        await until(
            lambda: all(each.cluster.slots.owned_count > 250 for each in town.living), within_s=60
        )
        loop = asyncio.get_running_loop()
        writers = [
            loop.create_task(town.write(f"w{n}", f"box{n % 7}", MARKS)) for n in range(WRITERS)
        ]
        await until(lambda: len(town.late) > WRITERS * 5)
        await happens(town)
        await asyncio.gather(*writers)
        await settled(town)
    return town


def run_misfortune(seed: int, happens: Misfortune) -> Town:
    with asyncio.Runner(loop_factory=lambda: SimulationLoop(seed)) as runner:
        return runner.run(_one_misfortune(seed, happens))


@pytest.mark.parametrize(
    "happens", [grow, drain, kill_an_owner, flush], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("seed", range(3))
def test_no_question_fails_that_may_be_asked_again(seed: int, happens: Misfortune) -> None:
    town = run_misfortune(seed, happens)
    assert town.faults() == []
    assert town.errors == {}


async def away_for_longer_than_a_lease(town: Town) -> None:
    await town.without_redis(4.0)


async def flushed_while_away(town: Town) -> None:
    await town.without_redis(4.0)
    town.directory.forget()


async def away_twice(town: Town) -> None:
    """The second time before all have said again that they live, and unnoticed for a while."""
    town.directory.fails_after_s = 1.6
    for _ in range(2):
        await town.without_redis(4.0)
        await asyncio.sleep(SOON_S)


async def back_with_some_subscriptions_missing(town: Town) -> None:
    """Only one instance's stands yet: whom it speaks to seems not to be there."""
    listeners = dict(town.bus.listeners)
    await town.without_redis(4.0)
    town.bus.listeners = dict(list(listeners.items())[:1])
    for _ in range(10):
        for each in town.living:
            each.cluster.moved()
        await asyncio.sleep(A_WHILE_S)
    town.bus.listeners.update(listeners)


@pytest.mark.parametrize(
    "happens",
    [
        away_for_longer_than_a_lease,
        away_twice,
        back_with_some_subscriptions_missing,
        flush,
        flushed_while_away,
    ],
    ids=lambda each: each.__name__,
)
@pytest.mark.parametrize("seed", range(3))
def test_no_slot_changes_hands_only_because_redis_was_away(seed: int, happens: Misfortune) -> None:
    moved: list[str] = []

    async def changes(town: Town) -> None:
        await asyncio.sleep(SHARED_OUT_S)
        before = dict(town.claims.epochs)
        await happens(town)
        await asyncio.sleep(BEATS_S)
        again = [slot for slot, epoch in town.claims.epochs.items() if epoch != before[slot]]
        breaks = sum(
            state.breaks
            for one in town.living
            for other in town.living
            if (state := one.cluster.link_state(other.name)) is not None
        )
        moved.append(f"{len(again)} slots, {breaks} links")

    town = run_misfortune(seed, changes)
    assert moved == ["0 slots, 0 links"]
    assert town.errors == {}


def test_what_was_given_away_is_taken_soon_though_redis_forgot_it_at_once() -> None:
    """Sooner than anybody runs out of patience: whoever gave it away says so again."""
    waited_s: list[float] = []

    async def given_and_forgotten(town: Town) -> None:
        await asyncio.sleep(SHARED_OUT_S)
        directory, taker = town.directory, await town.join()
        hand_over, is_given = directory.hand_over, asyncio.Event()

        async def hand_over_in_vain(me: str, moves: Mapping[int, str]) -> None:
            await hand_over(me, moves)
            directory.hand_over = hand_over  # type: ignore[method-assign]
            town.bus.is_down = directory.is_down = True
            is_given.set()

        directory.hand_over = hand_over_in_vain  # type: ignore[method-assign]
        await is_given.wait()
        await asyncio.sleep(AWAY_S)
        directory.forget()
        town.bus.is_down = directory.is_down = False
        began = asyncio.get_running_loop().time()
        await until(lambda: owned_in(town) == SLOT_COUNT, within_s=30)
        waited_s.append(asyncio.get_running_loop().time() - began)
        assert taker.cluster.slots.owned_count > 0

    run_misfortune(0, given_and_forgotten)
    assert waited_s[0] < 3 * RETRY_S


def test_what_came_back_is_not_given_away_again_when_redis_forgets() -> None:
    """Not to who had it and passed it back, and is about to end."""
    given: list[int] = []

    async def passed_back_and_forgotten(town: Town) -> None:
        await asyncio.sleep(SHARED_OUT_S)
        visitor = (await town.join()).cluster.slots
        await asyncio.sleep(SHARED_OUT_S)
        assert visitor.owned_count > 0
        assert await visitor.leave(within_s=SHARED_OUT_S)
        await asyncio.sleep(BEATS_S)
        before = dict(town.claims.epochs)
        town.directory.forget()
        await asyncio.sleep(BEATS_S)
        given.append(sum(epoch != before[slot] for slot, epoch in town.claims.epochs.items()))

    run_misfortune(0, passed_back_and_forgotten)
    assert given == [0]


def owned_in(town: Town) -> int:
    return sum(each.cluster.slots.owned_count for each in town.living)


def test_a_dead_instance_is_replaced_though_redis_comes_and_goes() -> None:
    """Again and again, sooner than anybody would run out of patience."""
    owned: list[int] = []

    async def dies_in_a_flapping_redis(town: Town) -> None:
        await asyncio.sleep(SHARED_OUT_S)
        await kill_an_owner(town)
        for _ in range(FLAPS):
            await town.without_redis(AWAY_S)
            await asyncio.sleep(BACK_S)
        owned.append(owned_in(town))

    run_misfortune(0, dies_in_a_flapping_redis)
    assert owned == [SLOT_COUNT]


def test_who_finds_one_slot_lost_looks_after_all_of_its_slots() -> None:
    """As after a long sleep during which Redis forgot and others had claimed them."""
    stale: list[int] = []

    async def claimed_by_others_unseen(town: Town) -> None:
        await asyncio.sleep(SHARED_OUT_S)
        slots = town.living[0].cluster.slots
        mine = [slot for slot in range(SLOT_COUNT) if slots.is_mine(slot)]
        held = {slot: slots.epoch_of(slot) for slot in mine}
        await town.claims.claim(mine, "another")
        slots.doubt(((mine[0], held[mine[0]]),))
        await asyncio.sleep(BEATS_S)
        stale.append(sum(slots.epoch_of(s) != town.claims.epochs[s] for s in mine))

    run_misfortune(0, claimed_by_others_unseen)
    assert stale == [0]


def test_after_a_change_of_its_own_an_instance_reads_the_whole_directory() -> None:
    """Redis may lose the change at once, and give the next one the number that was known before."""
    known: list[int] = []

    async def changes(town: Town) -> None:
        await asyncio.sleep(SHARED_OUT_S)
        directory = town.directory
        acquire, beat, taken = directory.acquire, directory.beat, set[str]()

        async def note_acquire(me: str, *more: Any) -> tuple[int, ...]:
            taken.add(me)
            return await acquire(me, *more)

        async def note_beat(me: str, member: Member, version: int) -> View:
            if me in taken:
                taken.discard(me)
                known.append(version)
            return await beat(me, member, version)

        directory.acquire = note_acquire  # type: ignore[method-assign]
        directory.beat = note_beat  # type: ignore[method-assign]
        await kill_an_owner(town)
        await asyncio.sleep(BEATS_S)

    run_misfortune(0, changes)
    assert set(known) == {-1}


def test_a_killed_instance_is_noticed_long_before_its_lease_ends() -> None:
    assert longest_wait_after_a_kill() < 1.5


def longest_wait_after_a_kill() -> float:
    return max(max(run_misfortune(seed, kill_an_owner).late) for seed in range(5))


def test_a_stale_owner_is_refused_by_the_fence() -> None:
    """The runs above mean something: frozen owners do try to write."""
    assert sum(in_bad_weather(seed).store.refused for seed in SEEDS) > 0


# --- planted bugs ---------------------------------------------------------------------------------


def is_found(plant: Callable[[Town], None] = lambda town: None) -> bool:
    return any(run(seed, plant).faults() for seed in range(40))


def test_it_is_found_when_what_was_lost_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ClusterTransport, "lost", lambda self, peer: None)
    assert any(run_misfortune(seed, kill_an_owner).errors for seed in range(5))


def test_it_is_found_when_a_slot_is_taken_without_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    async def claim(self: MemoryClaims, slots: list[int], instance: str) -> dict[int, int]:
        return {slot: self.epochs[slot] for slot in slots}

    monkeypatch.setattr(MemoryClaims, "claim", claim)
    assert is_found()


def test_it_is_found_when_turned_away_questions_lose_their_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Asking, "is_clear", lambda self, slot, owner: bool(owner))
    assert is_found()


def test_it_is_found_when_a_departed_instance_is_not_told_of_its_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Cluster, "gone", lambda self, peer: None)
    assert longest_wait_after_a_kill() >= 1.5
