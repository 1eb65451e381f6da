"""Plays seeds, and says of each what is worth keeping."""

from typing import Final, NamedTuple

from tests.simulation.findings import known
from tests.simulation.play import MESSAGES, play

CLUSTER_MESSAGES: Final = 100


class Report(NamedTuple):
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


def report_cluster(seed: int) -> Report:
    """Between two and five nodes."""
    return report(seed, CLUSTER_MESSAGES, nodes_of(seed))


def nodes_of(seed: int) -> int:
    """How many instances a seed begins with in the tests of several."""
    return 2 + seed % 4
