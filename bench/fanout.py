"""How fast one message reaches 999: an agent changes status, every open workbench hears it.

    python -m bench.fanout        999 listeners, 1 and 4 messages under way, beside the peers

A message is under way until all have heard it, and each speaker has one under way at most. With one
speaker a message's time is measured, from being sent to the last listener; with several, how many
frames a second go out. Each listener's frames are counted: each must have heard every message.
"""

import argparse
import asyncio
import time
from functools import partial

import uvloop

from bench.feeds import Feed, open_feed
from bench.figures import percentiles, ratio, show, surroundings
from bench.neighbours import Neighbours
from bench.node import bound_to, cores
from bench.shop import cpu_seconds
from bench.wire import LeanSocket

SYSTEMS = ("kefu", "ws", "socket.io")
WITHIN_S = 30.0
QUIET_S = 1.0
Figures = dict[str, object]


class Audience:
    """All listeners. `said(n)` waits until the n-th message has been heard by all."""

    def __init__(self, feed: Feed, size: int) -> None:
        self.size = size
        self.heard = 0
        self.frame_bytes = 0
        self.counts = [0] * size
        self._feed = feed
        self._sockets: list[LeanSocket] = []
        self._goal = 0
        self._reached: asyncio.Future[None] | None = None

    async def gather(self) -> None:
        for number in range(self.size):
            self._sockets.append(await self._feed.listen(number, self._note_size))

    def start_counting(self) -> None:
        for number, socket in enumerate(self._sockets):
            socket.only_count(partial(self._hear, number))

    async def until_heard(self, message_count: int) -> None:
        self._goal = message_count * self.size
        if self.heard < self._goal:
            self._reached = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(WITHIN_S):
                await self._reached

    def _note_size(self, body: bytes) -> None:
        if b"agent_status" in body:
            self.frame_bytes = len(body)

    def _hear(self, number: int, count: int) -> None:
        self.heard += count
        self.counts[number] += count
        if self._reached is not None and self.heard >= self._goal and not self._reached.done():
            self._reached.set_result(None)


async def speak(
    feed: Feed, speakers: list[LeanSocket], audience: Audience, seconds: float
) -> Figures:
    """Messages for so many seconds, never more than one under way for each speaker."""
    under_way = len(speakers)
    audience.heard = said = 0
    audience.counts = [0] * audience.size
    took_s: list[float] = []
    used, ours = cpu_seconds(feed.process_id), time.process_time()
    others = Neighbours()
    started = time.perf_counter()
    while time.perf_counter() < started + seconds:
        before = time.perf_counter()
        speakers[said % under_way].send(feed.say(said // under_way))
        said += 1
        await audience.until_heard(said - under_way + 1)
        if under_way == 1:
            took_s.append(time.perf_counter() - before)
    await audience.until_heard(said)
    took, others_cores = time.perf_counter() - started, others.cores()
    used, ours = cpu_seconds(feed.process_id) - used, time.process_time() - ours
    await asyncio.sleep(QUIET_S)  # what comes too much would come now
    figures: Figures = {
        "frames_per_s": round(said * audience.size / took),
        "frames_per_server_cpu_s": round(said * audience.size / used),
        "server_cpu_share": round(used / took, 3),
        "load_generator_cpu_share": round(ours / took, 3),
        "others_cores": others_cores,
        "wrongly_heard": sum(count != said for count in audience.counts),
    }
    return {**figures, "to_the_last_ms": percentiles(took_s)} if took_s else figures


async def say_once(feed: Feed, speakers: list[LeanSocket], number: int) -> None:
    for speaker in speakers:
        speaker.send(feed.say(number))
    await asyncio.sleep(QUIET_S)


async def measure(name: str, asked: argparse.Namespace) -> Figures:
    """One run against one system."""
    server_cpus, our_cpus = cores()
    with bound_to(our_cpus):
        return await _measure(name, asked, server_cpus)


async def _measure(name: str, asked: argparse.Namespace, server_cpus: set[int] | None) -> Figures:
    async with open_feed(name, server_cpus) as feed:
        audience = Audience(feed, asked.listeners)
        await audience.gather()
        speakers = [await feed.speaker() for _ in range(asked.window)]
        await asyncio.sleep(QUIET_S)
        for number in (0, 1):
            await say_once(feed, speakers, number)
        assert audience.frame_bytes > 0, "nothing was heard"
        audience.start_counting()
        one = await speak(feed, speakers[:1], audience, asked.seconds)
        await say_once(feed, speakers, 1)  # wherever the runs ended, all are online again
        many = await speak(feed, speakers, audience, asked.seconds)
        return {"frame_bytes": audience.frame_bytes, **many, "one_under_way": one}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fanout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listeners", type=int, default=999)
    parser.add_argument(
        "--window", type=int, default=4, help="speakers, each with one message under way"
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.listeners, asked.seconds, asked.rounds = 99, 2.0, 1
    where = surroundings()
    runs: dict[str, list[Figures]] = {name: [] for name in SYSTEMS}
    for _ in range(asked.rounds):
        for name in SYSTEMS:
            runs[name].append(uvloop.run(measure(name, asked)))
    found = {
        f"kefu to {peer}, {what}": ratio(runs, "kefu", peer, what)
        for peer in SYSTEMS[1:]
        for what in ("frames_per_s", "frames_per_server_cpu_s")
    }
    said = {"listeners": asked.listeners, "window": asked.window, "seconds": asked.seconds}
    show("fanout", where, said, runs, found, keep=not asked.quick)


if __name__ == "__main__":
    main()
