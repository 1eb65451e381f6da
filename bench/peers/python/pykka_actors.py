"""Pykka, a thread for each actor: `python -m bench.peers.python.pykka_actors <measure> <count>`."""

from time import process_time
from typing import Any

import pykka

from bench.stopwatch import ASKERS, BURST, RING, resident_bytes, run


class Counter(pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message: Any) -> int:
        return 1


class Ringer(pykka.ThreadingActor):
    use_daemon_thread = True
    right: Any = None

    def on_receive(self, message: Any) -> None:
        kind, value = message
        if kind == "right":
            self.right = value
        elif value[0] == 0:
            value[1].set(True)
        else:
            self.right.tell(("pass", (value[0] - 1, value[1])))


def burst(count: int) -> float:
    ref = Counter.start()
    started = process_time()
    for _ in range(count // BURST):
        for _ in range(BURST - 1):
            ref.tell(None)
        ref.ask(None)
    return count / (process_time() - started)


def hop(count: int) -> float:
    ring = [Ringer.start() for _ in range(RING)]
    for place, ref in enumerate(ring):
        ref.tell(("right", ring[(place + 1) % RING]))
    done = pykka.ThreadingFuture()
    started = process_time()
    ring[0].tell(("pass", (count, done)))
    done.get()
    return count / (process_time() - started)


def ask(count: int) -> float:
    ref = Counter.start()
    started = process_time()
    for _ in range(count):
        ref.ask(None, timeout=5)
    return count / (process_time() - started)


def asks(count: int) -> float:
    """A hundred questions under way, then their answers."""
    ref = Counter.start()
    started = process_time()
    for _ in range(count // ASKERS):
        pykka.get_all([ref.ask(None, block=False) for _ in range(ASKERS)], timeout=5)
    return count / (process_time() - started)


def activate(count: int) -> float:
    started = process_time()
    refs = [Counter.start() for _ in range(count)]
    for ref in refs:
        ref.tell(None)
    refs[-1].ask(None)
    return count / (process_time() - started)


def resident(count: int) -> float:
    before = resident_bytes()
    refs = [Counter.start() for _ in range(count)]
    for ref in refs:
        ref.ask(None)
    return (resident_bytes() - before) / count


if __name__ == "__main__":
    run(
        {
            "burst": burst,
            "hop": hop,
            "ask": ask,
            "asks": asks,
            "activate": activate,
            "resident": resident,
        }
    )
