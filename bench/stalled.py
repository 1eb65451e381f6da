"""How are the others served while a fifth of a thousand people stop reading?

    python -m bench.stalled       1,000 sockets, 200 stalled, beside the same with nobody stalled

500 pairs on one server, written to all the time, open loop. The customers of 200 pairs are sent
long messages, and in every second stretch of time they stop reading: the network in front of them
fills, then what kefu keeps for them, then they are let go; afterwards they come back. The delivery
times are those of the other 300 pairs alone, who write to each other just the same all the time.
"""

import argparse
import asyncio
import json
import random
import re
import socket
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import uvloop

from bench.dialects import Kefu
from bench.figures import percentiles, ratio, show, surroundings
from bench.neighbours import Neighbours
from bench.node import bound_to, cores
from bench.pair import Side, Tally
from bench.shop import Shop, cpu_seconds, open_shop
from bench.wire import LeanSocket, connect

QUIET_S = 3.0
LINGER_S = 3.0
LONG = "慢" * 3900
RECEIVE_BYTES = 4096
SEGMENT_BYTES = 1460
CALM, STALLED = "nobody stalled", "stalled"
CLOSED = re.compile(r'^kefu_connections_closed_total\{code="4008"\} (\S+)$', re.MULTILINE)
Figures = dict[str, object]


class Wordy(Kefu):
    """Whatever it is to say, it says at length, and unescaped: half as much to send."""

    def say(self, chat_id: str, client_message_id: str, content: str) -> bytes:
        payload = {"content": LONG, "client_message_id": client_message_id, "chat_id": chat_id}
        return msgspec.json.encode({"type": "send_message", "payload": payload})


class FarSocket(LeanSocket):
    """At the end of a network that holds as little on the way as a real one: loopback, left to
    itself, takes megabytes before its sender notices anything."""

    def stall(self) -> None:
        self._transport.pause_reading()

    @classmethod
    async def connected(cls, url: str, on_text: Callable[[bytes], None]) -> "FarSocket":
        parts, loop, plain = urlsplit(url), asyncio.get_running_loop(), socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        plain.setblocking(False)
        await loop.sock_connect(plain, (parts.hostname, parts.port))
        _transport, found = await loop.create_connection(
            lambda: cls(f"{parts.path}?{parts.query}", parts.netloc, on_text), sock=plain
        )
        await found.opened
        return found


class Far:
    """A customer who may stall, and the agent who writes to them."""

    def __init__(self, shop: Shop, tally: Tally, number: int) -> None:
        self.customer, self.agent = sides(tally, number, Wordy())
        self.socket: FarSocket
        self._url = f"{shop.ws}/ws/chat?token={shop.customer_token()}"

    async def connect(self) -> None:
        self.socket = await FarSocket.connected(self._url, self.customer.heard)
        self.customer.socket = self.socket


def sides(tally: Tally, number: int, dialect: Kefu) -> tuple[Side, Side]:
    customer, agent = Side(tally, Kefu(), f"c{number}"), Side(tally, dialect, f"a{number}")
    customer.other, agent.other = agent, customer
    return customer, agent


async def meet(shop: Shop, customer: Side, agent: Side) -> None:
    """The agent takes the chat that the customer, who is connected, begins."""
    customer.socket.send(b'{"type":"start_chat"}')
    async with asyncio.timeout(20):
        await customer.is_open.wait()
    url = f"{shop.ws}/ws/chat?token={await shop.agent_token()}"
    agent.socket = await connect(url, agent.heard)
    accept = {"type": "accept_chat", "payload": {"chat_id": customer.chat_id}}
    agent.socket.send(json.dumps(accept).encode())
    for side in (customer, agent):
        async with asyncio.timeout(20):
            await side.is_ready.wait()


async def open_far(shop: Shop, number: int) -> Far:
    far = Far(shop, Tally(), number)
    await far.connect()
    await meet(shop, far.customer, far.agent)
    return far


async def open_near(shop: Shop, tally: Tally, number: int) -> tuple[Side, Side]:
    customer, agent = sides(tally, number, Kefu())
    url = f"{shop.ws}/ws/chat?token={shop.customer_token()}"
    customer.socket = await connect(url, customer.heard)
    await meet(shop, customer, agent)
    return customer, agent


async def compare(asked: argparse.Namespace) -> tuple[dict[str, list[Figures]], Figures]:
    """Stretch after stretch on one server, A B A B."""
    server_cpus, our_cpus = cores()
    with bound_to(our_cpus):
        return await _compare(asked, server_cpus)


async def _compare(
    asked: argparse.Namespace, server_cpus: set[int] | None
) -> tuple[dict[str, list[Figures]], Figures]:
    chance, others = random.Random(asked.seed), Tally()
    runs: dict[str, list[Figures]] = {CALM: [], STALLED: []}
    async with open_shop(server_cpus) as shop:
        far = [await open_far(shop, number) for number in range(asked.stalled)]
        near_count = asked.sockets // 2 - asked.stalled
        near = [await open_near(shop, others, -number - 1) for number in range(near_count)]
        start = time.perf_counter()
        rates = [(each.agent, asked.long_rate) for each in far]
        rates += [(side, asked.rate) for pair in near for side in pair]
        writing = [
            asyncio.ensure_future(side.write_at_rate(rate, start + chance.random() / rate, inf))
            for side, rate in rates
        ]
        for _ in range(asked.rounds):
            for kind, stretches in runs.items():
                await asyncio.sleep(QUIET_S)
                if kind == STALLED:
                    for each in far:
                        each.socket.stall()
                stretches.append(await watch(shop, others, asked.seconds))
            for each in far:  # those who were let go come back, the others begin anew
                each.socket.cut()
                await each.connect()
        for task in writing:
            task.cancel()
        await asyncio.sleep(LINGER_S)  # what is still under way arrives, or counts as lost
        everybody = [side for pair in near for side in pair]
        found: Figures = {
            "others lost": sum(side.undelivered_count for side in everybody),
            "others out of order": others.disordered,
            "others let go": sum(side.socket.is_closed for side in everybody),
        }
    return runs, found


async def watch(shop: Shop, others: Tally, seconds: float) -> Figures:
    """One stretch: how the others fared."""
    forget_peak(shop.process_id)
    before, used = memory_mib(shop.process_id, "VmRSS"), cpu_seconds(shop.process_id)
    neighbours, let_go = Neighbours(), await let_go_count(shop)
    others.delivery_s, others.is_counting = [], True
    await asyncio.sleep(seconds)
    others.is_counting, used = False, cpu_seconds(shop.process_id) - used
    return {
        "others_delivered_per_s": round(len(others.delivery_s) / seconds),
        "others_delivery_ms": percentiles(others.delivery_s),
        "let_go": await let_go_count(shop) - let_go,
        "memory_grown_mib": round(memory_mib(shop.process_id, "VmHWM") - before, 1),
        "server_cpu_share": round(used / seconds, 3),
        "others_cores": neighbours.cores(),
    }


def memory_mib(process_id: int, kind: str) -> float:
    """VmRSS is what it has now, VmHWM the most it ever had."""
    found = re.search(rf"{kind}:\s+(\d+)", Path(f"/proc/{process_id}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def forget_peak(process_id: int) -> None:
    Path(f"/proc/{process_id}/clear_refs").write_text("5")


async def let_go_count(shop: Shop) -> int:
    async with httpx.AsyncClient() as client:
        page = await client.get(f"{shop.ws.replace('ws', 'http', 1)}/metrics")
    found = CLOSED.search(page.text)
    return int(float(found[1])) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.stalled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--stalled", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1.0, help="messages/s of each of the others")
    parser.add_argument("--long-rate", type=float, default=3.0, help="messages/s to each stalled")
    parser.add_argument("--seconds", type=float, default=30.0, help="a stretch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.sockets, asked.stalled, asked.seconds, asked.rounds = 100, 20, 3.0, 1
    where = surroundings()
    runs, found = uvloop.run(compare(asked))
    p99 = {kind: [{"p99": p99_of(run)} for run in each] for kind, each in runs.items()}
    said = {name: getattr(asked, name) for name in ("sockets", "stalled", "rate", "long_rate")}
    said |= {"seconds": asked.seconds, "seed": asked.seed}
    found["others' p99, stalled to nobody stalled"] = ratio(p99, STALLED, CALM, "p99")
    show("stalled", where, said, runs, found, keep=not asked.quick)


def p99_of(run: Figures) -> float:
    found = run["others_delivery_ms"]
    return float(found["p99"]) if isinstance(found, dict) and found else 0.0


if __name__ == "__main__":
    main()
