"""What 10,000 idle customers cost, how fast they come, and how long until all are back.

    python -m bench.connections           10,000 on kefu, with and without chats, ws and socket.io

For each system: 50 connect, the rest follow with 64 under way at a time (accepted per second), then
nobody says anything for a minute (memory and CPU of each). Then all connections are cut at once and
all come back at once, trying again when refused (time until 99 % and all are there; with chats:
until each has been told how their chat stands). Last, connections arrive at a rate whether or not
the server keeps up, and count from when they were due. The server has a core of its own.
"""

import argparse
import asyncio
import resource
import time

import uvloop

from bench.figures import percentiles, show, surroundings
from bench.lobby import Lobby, Visit, open_lobby
from bench.neighbours import Neighbours
from bench.node import bound_to, cores
from bench.shop import cpu_seconds, memory_kib

SYSTEMS = ("kefu", "kefu with chats", "ws", "socket.io")
FIRST = 50
QUIET_S = 5.0
RETRY_S = 0.25
STORM_WITHIN_S = 120.0
OPEN_LOOP_S = 4.0
SPARE_FILES = 200
Figures = dict[str, object]


class Crowd:
    """All customers, by number; whoever is connected is in `visits`."""

    def __init__(self, lobby: Lobby) -> None:
        self._lobby = lobby
        self.visits: dict[int, Visit] = {}
        self.failed = 0

    async def join(self, numbers: range, under_way: int) -> None:
        """They come one behind the other in so many lines."""
        left = iter(numbers)

        async def line() -> None:
            for number in left:
                await self._come(number)

        await asyncio.gather(*(line() for _ in range(under_way)))

    async def _come(self, number: int) -> None:
        visit = Visit(self._lobby.way(number))
        await visit.open()
        self.visits[number] = visit
        await self._lobby.settle_in(number, visit)

    def cut(self) -> None:
        for visit in self.visits.values():
            visit.socket.cut()
        self.visits.clear()

    async def come_back(self, count: int) -> list[float]:
        """All at once, each until it succeeds: when each was there, in seconds from the start."""
        started = time.perf_counter()
        back: list[float] = []

        async def one(number: int) -> None:
            while True:
                try:
                    await self._come(number)
                except (OSError, TimeoutError):
                    self.failed += 1
                    await asyncio.sleep(RETRY_S)
                else:
                    back.append(time.perf_counter() - started)
                    return

        async with asyncio.timeout(STORM_WITHIN_S):
            await asyncio.gather(*(one(number) for number in range(count)))
        return back

    async def arrive(self, rate: int, count: int) -> list[float]:
        """One every 1/rate seconds, whatever the server does; seconds from when each was due."""
        took: list[float] = []
        started = time.perf_counter()

        async def one(number: int) -> None:
            await self._come(number)
            took.append(time.perf_counter() - started - number / rate)

        coming = []
        for number in range(count):
            delay = started + number / rate - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            coming.append(asyncio.ensure_future(one(number)))
        done = await asyncio.gather(*coming, return_exceptions=True)
        self.failed += sum(isinstance(each, BaseException) for each in done)
        return took


async def measure(name: str, asked: argparse.Namespace) -> Figures:
    """One run against one system."""
    server_cpus, our_cpus = cores()
    with bound_to(our_cpus):
        return await _measure(name, asked, server_cpus)


async def _measure(name: str, asked: argparse.Namespace, server_cpus: set[int] | None) -> Figures:
    async with open_lobby(name, server_cpus) as lobby:
        await lobby.prepare(asked.count)
        crowd = Crowd(lobby)
        held = await fill(lobby, crowd, asked)
        alive = sum(not visit.socket.is_closed for visit in crowd.visits.values())
        storm = await cut_and_return(lobby, crowd, asked.count)
        figures = {"still_connected": alive, **held, "reconnect_storm": storm}
        if name != "kefu with chats":  # the same door
            figures["open_loop"] = {
                f"{rate}_per_s": await open_loop(lobby, crowd, rate, asked) for rate in asked.rates
            }
        crowd.cut()
        return figures


async def fill(lobby: Lobby, crowd: Crowd, asked: argparse.Namespace) -> Figures:
    """Connect all of them, and let time pass."""
    server = lobby.process_id
    await crowd.join(range(FIRST), FIRST)
    await asyncio.sleep(min(QUIET_S, asked.idle))
    few_kib, used = memory_kib(server), cpu_seconds(server)
    others = Neighbours()
    ours, started = time.process_time(), time.perf_counter()
    await crowd.join(range(FIRST, asked.count), asked.under_way)
    took = time.perf_counter() - started
    used, ours = cpu_seconds(server) - used, time.process_time() - ours
    others_cores = others.cores()
    many = asked.count - FIRST
    await asyncio.sleep(min(QUIET_S, asked.idle))
    idle = cpu_seconds(server)
    await asyncio.sleep(asked.idle)
    idle = cpu_seconds(server) - idle
    return {
        "kib_each": round((memory_kib(server) - few_kib) / many, 1),
        "accepted_per_s": round(many / took),
        "accepted_per_server_cpu_s": round(many / used),
        "server_cpu_share": round(used / took, 2),
        "load_generator_cpu_share": round(ours / took, 2),
        "others_cores": others_cores,
        "idle_cpu_us_each_per_s": round(idle / asked.idle / asked.count * 1e6, 2),
    }


async def cut_and_return(lobby: Lobby, crowd: Crowd, count: int) -> Figures:
    used, crowd.failed = cpu_seconds(lobby.process_id), 0
    others = Neighbours()
    crowd.cut()
    back = sorted(await crowd.come_back(count))
    return {
        "to_99_percent_s": round(back[int(0.99 * (count - 1))], 2),
        "to_all_s": round(back[-1], 2),
        "refused_tries": crowd.failed,
        "server_cpu_s": round(cpu_seconds(lobby.process_id) - used, 2),
        "others_cores": others.cores(),
    }


async def until_idle(process_id: int) -> None:
    """Until the server has cleared away what was cut, or seems never to."""
    for _ in range(30):
        used = cpu_seconds(process_id)
        await asyncio.sleep(1)
        if cpu_seconds(process_id) - used < 0.05:
            return


async def open_loop(lobby: Lobby, crowd: Crowd, rate: int, asked: argparse.Namespace) -> Figures:
    crowd.cut()
    await until_idle(lobby.process_id)
    crowd.failed, used = 0, cpu_seconds(lobby.process_id)
    count = min(asked.count, int(rate * OPEN_LOOP_S))
    took = await crowd.arrive(rate, count)
    share = (cpu_seconds(lobby.process_id) - used) / (count / rate)
    return {
        "until_there_ms": percentiles(took),
        "failed": crowd.failed,
        "server_cpu_share": round(share, 2),
    }


def _may_open(count: int) -> None:
    """Let this process, and the servers it starts, hold so many sockets.

    Raises SystemExit where the system does not allow it.
    """
    needed = count + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(f"{count} sockets need `ulimit -Hn {needed}`; here it is {hard}.")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.connections",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--under-way", type=int, default=64)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of silence")
    parser.add_argument("--rates", type=int, nargs="*", default=[500, 1000, 2000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--systems", nargs="*", default=SYSTEMS, choices=SYSTEMS)
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.count, asked.idle, asked.rates = 300, 2.0, [200]
    _may_open(asked.count)
    where = surroundings()
    runs: dict[str, list[Figures]] = {name: [] for name in asked.systems}
    for _ in range(asked.rounds):
        for name in asked.systems:
            print(f"{name}: {asked.count} connections ...", flush=True)
            runs[name].append(uvloop.run(measure(name, asked)))
    said = {"count": asked.count, "under_way": asked.under_way, "idle_s": asked.idle}
    show("connections", where, said, runs, keep=not asked.quick)


if __name__ == "__main__":
    main()
