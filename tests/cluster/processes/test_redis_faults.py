"""Redis dies, forgets, stops answering, drops its subscribers, or is out of reach of one instance.

Each fault five times; KEFU_REDIS_FAULTS is how often (`make soak`: 100). It may come while slots
are on their way. Nothing is lost of those either, but one that was given away a moment before and
not taken yet waits for Redis wherever its people sit: only the others are "on the spot".
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

import anyio
import pytest

from tests.cluster.processes.load import Couple, Load, talking
from tests.cluster.processes.own_stores import OwnStores
from tests.cluster.processes.several import COUNT, CUT_OFF, Several
from tests.fakes.proxy import Proxy
from tests.stories.test_kills_under_load import percentile
from tests.until import until

ROUNDS = int(os.environ.get("KEFU_REDIS_FAULTS", "5"))
AT_A_TIME = 5  # rounds with the same people: all that they have said is looked through each time
PAIRS = 30
AWAY_S = 2.5
PAUSED_S = 3.0
NOTICED_S = 2.0  # by then all have seen what Redis forgot
CUT_S = 4.0
CLOSED_WITHIN_S = 2.0
LOCAL_RECEIPT_S = 0.2

pytestmark = [pytest.mark.alone, pytest.mark.timeout(90 + 60 * ROUNDS)]


class Receipt(NamedTuple):
    """How long somebody waited for it, who, at which instance, and when after the fault began."""

    waited_s: float
    name: str
    at: int
    slot: int
    after_s: float


class Outage:
    """One fault, and what is asked of everybody meanwhile and afterwards."""

    def __init__(self, load: Load, stores: OwnStores, proxy: Proxy) -> None:
        self.load = load
        self.stores = stores
        self.proxy = proxy

    async def killed(self) -> None:
        self.stores.kill_valkey()
        try:
            await self._is_degraded(range(COUNT), AWAY_S)
        finally:
            await self.stores.start_valkey()

    async def subscribers_dropped(self) -> None:
        async with self.stores.redis() as redis:
            dropped = await redis.client_kill_filter(_type="pubsub")
        assert dropped >= COUNT
        await anyio.sleep(NOTICED_S)

    async def paused(self) -> None:
        async with self.stores.redis() as redis:
            await redis.client_pause(int(PAUSED_S * 1000), all=True)
        await self._is_degraded(range(COUNT), PAUSED_S)

    async def flushed(self) -> None:
        async with self.stores.redis() as redis:
            await redis.flushall()
        await anyio.sleep(NOTICED_S)

    async def cut(self) -> None:
        self.proxy.is_refusing = True
        self.proxy.cut()
        try:
            await self._is_degraded([CUT_OFF], CUT_S)
        finally:
            self.proxy.is_refusing = False

    async def _is_degraded(self, numbers: Iterable[int], for_s: float) -> None:
        """It lasts so long; meanwhile these say that something is amiss, and are of use still."""
        ends_at = anyio.current_time() + for_s
        async with anyio.create_task_group() as tasks:
            for number in numbers:
                tasks.start_soon(self._says_so, number, for_s)
        await anyio.sleep_until(ends_at)

    async def _says_so(self, number: int, within_s: float) -> None:
        answers: list[tuple[str, float]] = []

        async def is_degraded() -> bool:
            answers.append((await self.load.town.readiness(number), anyio.current_time() - began))
            return answers[-1][0] == "degraded"

        began = anyio.current_time()
        try:
            await until(is_degraded, within_s=within_s)
        except AssertionError as error:
            error.add_note(f"instance {number} said {answers[-3:]}")
            raise


FAULTS: dict[str, Callable[[Outage], Awaitable[None]]] = {
    "killed and empty": Outage.killed,
    "subscribers dropped": Outage.subscribers_dropped,
    "paused": Outage.paused,
    "flushed": Outage.flushed,
    "out of reach of one": Outage.cut,
}


async def test_nothing_is_lost_whatever_redis_does(
    town: Several, proxy: Proxy, own_stores: OwnStores, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    on_the_spot: list[float] = []
    for begun in range(0, ROUNDS, AT_A_TIME):
        async with talking(town, PAIRS) as load:
            outage = Outage(load, own_stores, proxy)
            for name, happen in list(FAULTS.items()) * min(AT_A_TIME, ROUNDS - begun):
                try:
                    words, seen = await suffer(outage, happen)
                except AssertionError as error:
                    error.add_note("\n".join(("before it:", *said, f"this one: {name}")))
                    raise
                said.append(f"{name}: {words}")
                said += [f"  {each}" for each in seen[:5] if each.waited_s > LOCAL_RECEIPT_S]
                on_the_spot += [each.waited_s for each in seen]
    assert percentile(on_the_spot, 0.99) < LOCAL_RECEIPT_S, "\n".join(said)
    with capsys.disabled():
        print("", *said, sep="\n")  # noqa: T201 - the figures are half of what this is for


async def suffer(
    outage: Outage, happen: Callable[[Outage], Awaitable[None]]
) -> tuple[str, list[Receipt]]:
    """One fault: how it went, and what was acknowledged meanwhile to those on the spot."""
    load = outage.load
    await load.town.whole()
    staying = await load.town.in_place()
    local = [pair for pair in await load.local() if pair.slot in staying]
    if happen is Outage.cut:  # those it concerns must wait: their chats go to the others
        local = [pair for pair in local if pair.customer.at != CUT_OFF]
    assert local
    began = anyio.current_time()
    await happen(outage)
    healed = anyio.current_time()
    closed_s = await load.gap_closed(within_s=CLOSED_WITHIN_S)
    seen = receipts(local, began, healed)
    assert len(seen) > len(local), "they went on"
    words = (
        f"{healed - began:.1f} s, closed {closed_s:.2f} s later; "
        f"{len(seen)} receipts on the spot meanwhile, the slowest {seen[0].waited_s:.2f} s"
    )
    return words, seen


def receipts(pairs: list[Couple], since: float, until_: float) -> list[Receipt]:
    """Of what was said, and could be acknowledged, in that time; the longest wait first."""
    found = [
        Receipt(
            person.acked_at.get(key, float("inf")) - at,
            person.name,
            person.at,
            pair.slot,
            at - since,
        )
        for pair in pairs
        for person in pair.people
        for key, at in person.said_at.items()
        if since < at < until_ - 0.5
    ]
    return sorted(found, reverse=True)
