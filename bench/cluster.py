"""What does it cost that people are at different instances? Pairs who write, at half of what the
instances can do together.

    python -m bench.cluster                        two instances, 3 rounds
    python -m bench.cluster --rounds 1 --seconds 10

Three kinds of pairs write in the same run: `same`, both where their chat lives; `apart`, one of
them at the other instance; `guests`, both at the other. What the instances can do is found first,
with everybody writing as fast as it goes; then messages are due at half that rate, whether or not
anybody keeps up, and count from when they were due. The hop is one envelope at a time between two
ends of the bridge in this process, over the same Valkey.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from uuid import uuid5

import asyncpg
import msgspec
import uvloop

from bench.dialects import Kefu
from bench.figures import percentiles, ratio, show, surroundings
from bench.neighbours import Neighbours
from bench.pair import Side, Tally
from bench.shop import Shop, cpu_seconds, open_own_stores, serving
from bench.wire import connect
from kefu.agents.tokens import NAMESPACE
from kefu.cluster.envelopes import Envelope, SlotsMoved
from kefu.cluster.links import Links
from kefu.cluster.placement import SLOT_COUNT, slot_of
from kefu.cluster.ports import Member
from kefu.cluster.redis_bus import RedisBus
from kefu.storage.embedded import Stores
from kefu.storage.redis import open_redis

KINDS = ("same", "apart", "guests")
INSTANCES = 2
SHARED_WITHIN_S = 60.0
WARM_UP_S = 2.0
LINGER_S = 2.0
HOPS = 500
Figures = dict[str, object]


class Town:
    """The instances, and which of them owns each slot."""

    def __init__(self, stores: Stores, shops: list[Shop]) -> None:
        self.stores = stores
        self.shops = shops
        self._owners: dict[int, int] = {}
        self._numbers = count(1)

    async def shared(self) -> None:
        """Wait until the instances own about the same number of slots."""
        async with asyncio.timeout(SHARED_WITHIN_S):
            while not await self._is_shared():  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.5)

    async def _is_shared(self) -> bool:
        names = await self._names()
        connection = await asyncpg.connect(self.stores.database_url)
        rows = await connection.fetch("SELECT slot, instance FROM slot_owner")
        await connection.close()
        self._owners = {row["slot"]: names.get(row["instance"], -1) for row in rows}
        owned = [list(self._owners.values()).count(number) for number in range(len(self.shops))]
        return sum(owned) == SLOT_COUNT and min(owned) > SLOT_COUNT // len(self.shops) * 0.8

    async def _names(self) -> dict[str, int]:
        numbers = {shop.process_id: number for number, shop in enumerate(self.shops)}
        async with open_redis(self.stores.redis_url) as redis:
            keys = await redis.keys("*}:members")
            members = await redis.hgetall(keys[0]) if keys else {}
        found = {
            name.decode(): int(msgspec.json.decode(each, type=Member).name.rpartition(":")[2])
            for name, each in members.items()
        }
        return {name: numbers[process] for name, process in found.items() if process in numbers}

    async def pair(self, tally: Tally, kind: str, number: int) -> tuple[Side, Side]:
        """Two who talk; whose chat lives at which instance goes by turns."""
        owner = number % len(self.shops)
        other = (owner + 1) % len(self.shops)
        places = {"same": (owner, owner), "apart": (owner, other), "guests": (other, other)}[kind]
        sides = Side(tally, Kefu(), f"c{number}"), Side(tally, Kefu(), f"a{number}")
        customer, agent = sides
        customer.other, agent.other = agent, customer
        homes = [self.shops[place] for place in places]
        token = homes[0].customer_token(self._customer_at(owner))
        customer.socket = await connect(f"{homes[0].ws}/ws/chat?token={token}", customer.heard)
        customer.socket.send(b'{"type":"start_chat"}')
        async with asyncio.timeout(20):
            await customer.is_open.wait()
        token = await homes[1].agent_token()
        agent.socket = await connect(f"{homes[1].ws}/ws/chat?token={token}", agent.heard)
        accept = {"type": "accept_chat", "payload": {"chat_id": customer.chat_id}}
        agent.socket.send(json.dumps(accept).encode())
        async with asyncio.timeout(20):
            for side in sides:
                await side.is_ready.wait()
        return sides

    def _customer_at(self, owner: int) -> str:
        """The name of a new customer whose chats live there."""
        names = (f"bench-{number}" for number in self._numbers)
        return next(
            name
            for name in names
            if self._owners[slot_of(str(uuid5(NAMESPACE, f"customer:{name}")))] == owner
        )


@asynccontextmanager
async def open_town() -> AsyncIterator[Town]:
    async with open_own_stores() as stores, AsyncExitStack() as stack:
        shops = [await stack.enter_async_context(serving(stores)) for _ in range(INSTANCES)]
        town = Town(stores, shops)
        await town.shared()
        yield town


class _End:
    """One end of the bridge; notes when something comes."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def take(self, peer: str, envelope: Envelope) -> None:
        self.came.set()

    def missed(self, peer: str) -> None: ...
    def lost(self, peer: str, envelopes: list[Envelope]) -> None: ...
    def gone(self, peer: str) -> None: ...


async def hops(stores: Stores) -> Figures:
    """From one end of the bridge to the other, one at a time."""
    ends = {"one": _End(), "other": _End()}
    took: list[float] = []
    async with open_redis(stores.redis_url) as redis:
        links = {name: Links(name, RedisBus(redis), "bench:", end) for name, end in ends.items()}
        running = [asyncio.ensure_future(each.run()) for each in links.values()]
        for each in links.values():
            await each.is_up.wait()
        for _ in range(HOPS):
            ends["other"].came.clear()
            started = time.perf_counter()
            links["one"].send("other", SlotsMoved())
            async with asyncio.timeout(5):
                await ends["other"].came.wait()
            took.append(time.perf_counter() - started)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return {"hop_ms": percentiles(took)}


async def measure(asked: argparse.Namespace) -> dict[str, Figures]:
    """One round: what they can do, then everybody at half of it."""
    chance = random.Random(asked.seed)
    async with open_town() as town:
        hop = await hops(town.stores)
        tallies = {kind: Tally() for kind in KINDS}
        sides: dict[str, list[Side]] = {kind: [] for kind in KINDS}
        for number in range(asked.pairs):
            for kind in KINDS:
                sides[kind] += await town.pair(tallies[kind], kind, number)
        everybody = [side for each in sides.values() for side in each]
        limit = await saturate(tallies, everybody, asked)
        rate = limit / 2 / len(everybody)
        others, used = Neighbours(), _used(town)
        start = time.perf_counter()
        until = start + WARM_UP_S + asked.seconds
        writing = [
            asyncio.ensure_future(side.write_at_rate(rate, start + chance.random() / rate, until))
            for side in everybody
        ]
        await _count(tallies, asked.seconds)
        others_cores, used = others.cores(), _used(town) - used
        await asyncio.gather(*writing)
        await asyncio.sleep(LINGER_S)
        where = {
            "limit_per_s": round(limit),
            "servers_cpu_share": round(used / (WARM_UP_S + asked.seconds), 3),
            "others_cores": others_cores,
        }
        found = {kind: figures(tallies[kind], sides[kind], asked.seconds) for kind in KINDS}
        return {kind: {**each, **where, **hop} for kind, each in found.items()}


def figures(tally: Tally, sides: list[Side], seconds: float) -> Figures:
    ack, delivery = percentiles(tally.ack_s), percentiles(tally.delivery_s)
    return {
        "acknowledged_per_s": round(len(tally.ack_s) / seconds),
        **{f"ack_{name}_ms": ack.get(name) for name in ("p50", "p99")},
        **{f"delivery_{name}_ms": delivery.get(name) for name in ("p50", "p99")},
        "lost": sum(side.undelivered_count for side in sides),
        "doubled": tally.doubled,
        "out_of_order": tally.disordered,
        "misdelivered": tally.misdelivered,
        "errors": tally.errors,
    }


async def saturate(
    tallies: dict[str, Tally], everybody: list[Side], asked: argparse.Namespace
) -> float:
    """Messages a second that are acknowledged when everybody writes as fast as it goes."""
    until = time.perf_counter() + WARM_UP_S + asked.seconds / 2
    writing = [
        asyncio.ensure_future(side.write_in_window(asked.window, until)) for side in everybody
    ]
    await _count(tallies, asked.seconds / 2)
    acked = sum(len(tally.ack_s) for tally in tallies.values())
    await asyncio.gather(*writing)
    await asyncio.sleep(LINGER_S)
    for tally in tallies.values():
        tally.ack_s.clear()
        tally.delivery_s.clear()
    return acked / (asked.seconds / 2)


async def _count(tallies: dict[str, Tally], seconds: float) -> None:
    """Warm up, then count for so long."""
    await asyncio.sleep(WARM_UP_S)
    for tally in tallies.values():
        tally.is_counting = True
    await asyncio.sleep(seconds)
    for tally in tallies.values():
        tally.is_counting = False


def _used(town: Town) -> float:
    return sum(cpu_seconds(shop.process_id) for shop in town.shops)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=int, default=30, help="of each kind")
    parser.add_argument("--window", type=int, default=4, help="under way a side, for the limit")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.pairs, asked.seconds, asked.rounds = 6, 3.0, 1
    where = surroundings()
    runs: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    for _ in range(asked.rounds):
        for kind, run in uvloop.run(measure(asked)).items():
            runs[kind].append(run)
    found = {
        f"{kind} to same, {what}": ratio(runs, kind, "same", what)
        for kind in KINDS[1:]
        for what in ("delivery_p50_ms", "delivery_p99_ms")
    }
    said = {
        "instances": INSTANCES,
        "pairs of each kind": asked.pairs,
        "form": "half of the limit, open loop",
        "seconds": asked.seconds,
        "seed": asked.seed,
    }
    show("cluster", where, said, runs, found, keep=not asked.quick)


if __name__ == "__main__":
    main()
