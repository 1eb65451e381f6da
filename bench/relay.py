"""How many messages a core passes on when none is kept: people who see each other type.

    python -m bench.relay                 100 pairs, 8 under way a side, beside socket.io and ws
    python -m bench.relay --window 1      the same with 1 under way

Whoever hears a frame answers with one, so that as many stay under way as began. `typing` is the
frame that kefu keeps nothing of: it is decoded, checked, told to the customer's actor, which knows
whose chat it is, encoded and sent. The peers do the same with less to check. A side's count rises
with every frame it hears; what is missing at the end was lost.
"""

import argparse
import asyncio
import json
import time
from functools import partial

import uvloop

from bench.figures import ratio, show, surroundings
from bench.neighbours import Neighbours
from bench.node import bound_to, cores
from bench.pair import Side, Tally
from bench.shop import cpu_seconds
from bench.systems import System, open_system
from bench.wire import text_frame

SYSTEMS = ("kefu", "ws", "socket.io")
WARM_UP_S = 2.0
LINGER_S = 2.0
Figures = dict[str, object]


class Relay:
    """Counts what all sides hear, and has each answer as much until told to stop."""

    def __init__(self, sides: list[Side], system: str) -> None:
        self.heard = self.said = 0
        self._is_over = False
        self._frames = {side: text_frame(typing(system, side.chat_id)) for side in sides}

    def begin(self, window: int) -> None:
        for side, frame in self._frames.items():
            side.socket.only_count(partial(self._answer, side))
            side.socket.send_framed(frame * window)
            self.said += window

    def end(self) -> None:
        self._is_over = True

    def _answer(self, side: Side, count: int) -> None:
        self.heard += count
        if not self._is_over:
            self.said += count
            side.socket.send_framed(self._frames[side] * count)


def typing(system: str, chat_id: str) -> bytes:
    payload = {"chat_id": chat_id, "is_typing": True}
    if system == "socket.io":
        return b"42" + json.dumps(["typing", payload]).encode()
    return json.dumps({"type": "typing", "payload": payload}).encode()


async def prove(system: System, name: str, one: Side, other: Side) -> None:
    """That a frame arrives and says what it should, before they are only counted."""
    arrived = asyncio.get_running_loop().create_future()

    def look(body: bytes) -> None:
        if b'"typing"' in body and not arrived.done():
            arrived.set_result(body)

    other.socket.on_text = look
    one.socket.send(typing(name, one.chat_id))
    async with asyncio.timeout(10):
        body = await arrived
    assert one.chat_id.encode() in body, body
    assert b'"is_typing":true' in body, body


async def measure(name: str, asked: argparse.Namespace) -> Figures:
    """One run against one system."""
    server_cpus, our_cpus = cores()
    with bound_to(our_cpus):
        return await _measure(name, asked, server_cpus)


async def _measure(name: str, asked: argparse.Namespace, server_cpus: set[int] | None) -> Figures:
    async with open_system(name, server_cpus) as system:
        tally = Tally()
        pairs = [await system.pair(tally, number) for number in range(asked.pairs)]
        await prove(system, name, *pairs[0])
        relay = Relay([side for pair in pairs for side in pair], name)
        relay.begin(asked.window)
        await asyncio.sleep(WARM_UP_S)
        heard, used, ours = relay.heard, cpu_seconds(system.process_id), time.process_time()
        others = Neighbours()
        started = time.perf_counter()
        await asyncio.sleep(asked.seconds)
        took = time.perf_counter() - started
        heard = relay.heard - heard
        others_cores = others.cores()
        used, ours = cpu_seconds(system.process_id) - used, time.process_time() - ours
        relay.end()
        await asyncio.sleep(LINGER_S)
        return {
            "messages_per_s": round(heard / took),
            "per_server_cpu_s": round(heard / used),
            "server_cpu_share": round(used / took, 3),
            "load_generator_cpu_share": round(ours / took, 3),
            "others_cores": others_cores,
            "lost": relay.said - relay.heard,
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.relay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--window", type=int, default=8, help="frames under way a side")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.pairs, asked.seconds, asked.rounds = 10, 2.0, 1
    where = surroundings()
    runs: dict[str, list[Figures]] = {name: [] for name in SYSTEMS}
    for _ in range(asked.rounds):
        for name in SYSTEMS:
            runs[name].append(uvloop.run(measure(name, asked)))
    found = {
        f"kefu to {peer}, {what}": ratio(runs, "kefu", peer, what)
        for peer in SYSTEMS[1:]
        for what in ("per_server_cpu_s", "messages_per_s")
    }
    said = {"pairs": asked.pairs, "window a side": asked.window, "seconds": asked.seconds}
    file = "relay" if asked.window == 8 else f"relay-window-{asked.window}"
    show(file, where, said, runs, found, keep=not asked.quick)


if __name__ == "__main__":
    main()
