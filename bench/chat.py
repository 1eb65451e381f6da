"""How fast are durable chats? Pairs of a customer and an agent, both writing.

    python -m bench.chat                         100 pairs, 1 message/s each side, 20 s
    python -m bench.chat --window 8              as fast as it goes, 8 messages under way each

In the first form messages are due at their time whether or not the server keeps up, and count from
when they were due. Every message is followed: lost, doubled, out of order and misdelivered ones are
counted. Client and server share the machine; with two cores or more each gets its own.
"""

import argparse
import asyncio
import json
import os
import random
import time
from collections.abc import Iterator

import msgspec
import uvloop

from bench.figures import percentiles, show, surroundings
from bench.shop import Shop, open_shop
from bench.wire import LeanSocket, connect

TEXT = "您好，请问这件商品什么时候可以发货？" * 3


class _Payload(msgspec.Struct):
    content: str = ""
    seq: int = 0
    chat_id: str = ""
    client_message_id: str = ""
    status: str = ""
    code: str = ""


class _Frame(msgspec.Struct):
    type: str
    payload: _Payload | None = None


_read = msgspec.json.Decoder(_Frame).decode


class Tally:
    """What happened to every message, over all pairs."""

    def __init__(self) -> None:
        self.ack_s: list[float] = []
        self.delivery_s: list[float] = []
        self.sent = self.doubled = self.disordered = self.misdelivered = self.errors = 0
        self.is_counting = False


class Side:
    """One end of a pair."""

    def __init__(self, tally: Tally, name: str) -> None:
        self._tally = tally
        self._name = name
        self._due: dict[str, float] = {}
        self._head = 0
        self._number = 0
        self.chat_id = ""
        self.status = asyncio.Event()
        self.acked = asyncio.Semaphore(0)
        self.other: Side
        self.socket: LeanSocket

    def heard(self, body: bytes) -> None:
        frame = _read(body)
        if frame.type == "new_message" and frame.payload:
            self._delivered(frame.payload)
        elif frame.type == "message_ack" and frame.payload:
            self._acknowledged(frame.payload)
        elif frame.type == "chat_status" and frame.payload:
            self.chat_id = frame.payload.chat_id
            if frame.payload.status == "active":
                self.status.set()
        elif frame.type == "error":
            self._tally.errors += 1

    def _delivered(self, payload: _Payload) -> None:
        tally = self._tally
        due = self.other._due.pop(payload.client_message_id, None)
        if payload.chat_id != self.chat_id:
            tally.misdelivered += 1
        elif due is None:
            tally.doubled += 1
        elif tally.is_counting:
            tally.delivery_s.append(time.perf_counter() - due)
        self._advance(payload.seq)

    def _acknowledged(self, payload: _Payload) -> None:
        due = self.acks_due.pop(payload.client_message_id, None)
        if due is not None and self._tally.is_counting:
            self._tally.ack_s.append(time.perf_counter() - due)
        self._advance(payload.seq)
        self.acked.release()

    def _advance(self, seq: int) -> None:
        if seq != self._head + 1:
            self._tally.disordered += 1
        self._head = seq

    def say(self, due: float) -> None:
        self._number += 1
        key = f"{self._name}-{self._number}"
        self._due[key] = due
        self.acks_due[key] = due
        self._tally.sent += 1
        payload = {"content": TEXT, "client_message_id": key, "chat_id": self.chat_id}
        self.socket.send(json.dumps({"type": "send_message", "payload": payload}).encode())

    @property
    def undelivered(self) -> int:
        return len(self._due)

    acks_due: dict[str, float]


async def _pair(shop: Shop, tally: Tally, agent_token: str, number: int) -> tuple[Side, Side]:
    customer, agent = Side(tally, f"c{number}"), Side(tally, f"a{number}")
    customer.acks_due, agent.acks_due = {}, {}
    customer.other, agent.other = agent, customer
    customer.socket = await connect(
        f"{shop.ws}/ws/chat?token={shop.customer_token()}", customer.heard
    )
    customer.socket.send(b'{"type":"start_chat"}')
    while not customer.chat_id:
        await asyncio.sleep(0.005)
    agent.socket = await connect(f"{shop.ws}/ws/chat?token={agent_token}", agent.heard)
    accept = {"type": "accept_chat", "payload": {"chat_id": customer.chat_id}}
    agent.socket.send(json.dumps(accept).encode())
    await asyncio.wait_for(asyncio.gather(customer.status.wait(), agent.status.wait()), 10)
    return customer, agent


async def _at_rate(side: Side, rate: float, until: float, start: float) -> None:
    due = start
    while due < until:
        delay = due - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        side.say(due)
        due += 1 / rate


async def _in_window(side: Side, window: int, until: float) -> None:
    for _ in range(window):
        side.say(time.perf_counter())
    while time.perf_counter() < until:
        await side.acked.acquire()
        side.say(time.perf_counter())


async def measure(
    pairs: int, rate: float, seconds: float, window: int, seed: int
) -> dict[str, object]:
    chance = random.Random(seed)
    cores = sorted(os.sched_getaffinity(0))
    split = len(cores) > 1
    if split:
        os.sched_setaffinity(0, set(cores[1:]))
    async with open_shop({cores[0]} if split else None) as shop:
        tally = Tally()
        tokens = [await shop.agent_token() for _ in range(pairs)]
        made = [await _pair(shop, tally, tokens[n], n) for n in range(pairs)]
        sides = [side for pair in made for side in pair]
        warm_up = 2.0
        start = time.perf_counter()
        until = start + warm_up + seconds
        work: Iterator[asyncio.Task[None]] = (
            asyncio.ensure_future(
                _in_window(side, window, until)
                if window
                else _at_rate(side, rate, until, start + chance.random() / rate)
            )
            for side in sides
        )
        running = list(work)
        await asyncio.sleep(warm_up)
        tally.is_counting, before, sent = True, shop.cpu_seconds(), tally.sent
        await asyncio.sleep(seconds)
        acked = len(tally.ack_s)
        tally.is_counting, cpu = False, shop.cpu_seconds() - before
        for task in running:
            task.cancel()
        await asyncio.sleep(2.0)  # whatever is still under way arrives, or counts as lost
        return {
            "pairs": pairs,
            "form": f"window {window}" if window else f"{rate}/s a side, open loop",
            "sent_per_s": round((tally.sent - sent) / seconds) if not window else None,
            "acknowledged_per_s": round(acked / seconds),
            "per_server_cpu_s": round(acked / cpu) if cpu else None,
            "server_cpu_share": round(cpu / seconds, 3),
            "ack_ms": percentiles(tally.ack_s),
            "delivery_ms": percentiles(tally.delivery_s),
            "lost": sum(side.undelivered for side in sides),
            "doubled": tally.doubled,
            "out_of_order": tally.disordered,
            "misdelivered": tally.misdelivered,
            "errors": tally.errors,
            "server_memory_mib": shop.memory_kib() // 1024,
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.chat", description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1.0, help="messages/s of each side")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--window", type=int, default=0, help="0: open loop at --rate")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    figures = uvloop.run(measure(asked.pairs, asked.rate, asked.seconds, asked.window, asked.seed))
    name = "chat-saturated" if asked.window else "chat"
    show(name, {**surroundings(), "seed": asked.seed}, figures)


if __name__ == "__main__":
    main()
