"""Plays many seeds, on two processors where there are two."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import NamedTuple

from tests.simulation.findings import known
from tests.simulation.play import MESSAGES, play

CLUSTER_MESSAGES = 250
PROCESSES = min(2, os.cpu_count() or 1)


class Report(NamedTuple):
    """What is worth carrying from one process to another."""

    seed: int
    written: int
    broken: str | None
    known: str | None
    sent: int = 0
    shown: tuple[int, ...] = (0, 0, 0)
    """Frames customers were sent, as JSON and as MessagePack; words agents were, for them alone."""


def report(seed: int, message_count: int = MESSAGES, nodes: int = 1) -> Report:
    outcome = play(seed, message_count, nodes=nodes)
    broken = str(outcome) if outcome.violations else None
    shown = tuple(outcome.shown.get(what, 0) for what in ("str", "bytes", "secrets"))
    found = known(outcome.violations)
    return Report(seed, outcome.written, broken, found, outcome.sent, shown)


@contextmanager
def players() -> Iterator[ProcessPoolExecutor]:
    """Processes of their own, started fresh: nothing of this one's state goes along."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as executor:
        yield executor


def report_cluster(seed: int) -> Report:
    """Between two and five nodes."""
    return report(seed, CLUSTER_MESSAGES, nodes_of(seed))


def nodes_of(seed: int) -> int:
    """How many instances a seed begins with in the tests of several."""
    return 2 + seed % 4


def search(
    executor: ProcessPoolExecutor,
    seeds: Sequence[int],
    report: Callable[[int], Report] = report,
) -> list[Report]:
    """In the order of the seeds."""
    return list(executor.map(report, seeds, chunksize=max(1, len(seeds) // (2 * PROCESSES))))
