"""What the runtime knows of its actors: counters, dead letters, the supervision tree.

Message contents never appear here, only the names of message and error types.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from traceback import walk_tb
from typing import NamedTuple

from actors.actor import ActorId, Letter
from actors.errors import Reason

DEAD_LETTER_LIMIT = 1000


class DeadLetter(NamedTuple):
    id: ActorId
    message_type: str
    reason: Reason
    at: float
    """Loop time."""


class LastError(NamedTuple):
    type_name: str
    where: str
    """File name and line where it was raised."""


@dataclass(slots=True)
class Counters:
    """What has happened to the actors of one kind."""

    handled: int = 0
    failed: int = 0
    restarts: int = 0
    quarantined: int = 0
    dead_letters: dict[Reason, int] = field(default_factory=dict)
    last_error: LastError | None = None


class DeadLetters:
    """The last thousand messages nobody handled."""

    def __init__(self) -> None:
        self._ring: deque[DeadLetter] = deque(maxlen=DEAD_LETTER_LIMIT)

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(tuple(self._ring))

    def add(self, counters: Counters, id: ActorId, item: object, reason: Reason, at: float) -> None:
        message = item.message if isinstance(item, Letter) else item
        self._ring.append(DeadLetter(id, type(message).__name__, reason, at))
        counters.dead_letters[reason] = counters.dead_letters.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class SupervisionNode:
    """One line of the supervision tree; the root sums its children."""

    kind: str
    count: int
    depth: int
    """Messages waiting in all mailboxes."""
    depth_max: int
    """Messages waiting in the fullest mailbox."""
    oldest_s: float
    """Upper bound of how long the oldest message waits or is being handled."""
    handled: int
    failed: int
    restarts: int
    quarantined: int
    dead_letters: dict[str, int]
    last_error: LastError | None
    children: tuple[SupervisionNode, ...] = ()


def locate(error: BaseException) -> LastError:
    """The error's type and the place that raised it, without its text."""
    where = ""
    for frame, line in walk_tb(error.__traceback__):
        where = f"{frame.f_code.co_filename.rpartition('/')[2]}:{line}"
    return LastError(type(error).__name__, where)


def total(kind: str, children: Iterable[SupervisionNode]) -> SupervisionNode:
    """A node that sums the given ones and has them as children."""
    nodes = tuple(children)
    dead_letters: dict[str, int] = {}
    for node in nodes:
        for reason, count in node.dead_letters.items():
            dead_letters[reason] = dead_letters.get(reason, 0) + count
    return SupervisionNode(
        kind=kind,
        count=sum(node.count for node in nodes),
        depth=sum(node.depth for node in nodes),
        depth_max=max((node.depth_max for node in nodes), default=0),
        oldest_s=max((node.oldest_s for node in nodes), default=0.0),
        handled=sum(node.handled for node in nodes),
        failed=sum(node.failed for node in nodes),
        restarts=sum(node.restarts for node in nodes),
        quarantined=sum(node.quarantined for node in nodes),
        dead_letters=dead_letters,
        last_error=None,
        children=nodes,
    )


def format_tree(node: SupervisionNode, indent: str = "") -> str:
    """The tree as lines of text, for a terminal."""
    lines = [indent + _line(node)]
    lines += [format_tree(child, indent + "  ") for child in node.children]
    return "\n".join(lines)


def _line(node: SupervisionNode) -> str:
    words = [
        f"{node.kind}: {node.count} alive",
        f"{node.depth} waiting (at most {node.depth_max}, oldest {node.oldest_s:.1f} s)",
        f"{node.handled} handled",
        f"{node.failed} failed",
        f"{node.restarts} restarts",
        f"{node.quarantined} quarantined",
    ]
    words += [f"{count} {reason}" for reason, count in sorted(node.dead_letters.items())]
    if node.last_error is not None:
        words.append(f"last error {node.last_error.type_name} at {node.last_error.where}")
    return ", ".join(words)
