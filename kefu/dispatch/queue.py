"""The one order of the queue: VIPs, then urgent, high, normal, then the longest wait. Pure.

Whose agent has gone comes before everybody of their kind: they were being served already.
"""

from collections.abc import Iterable
from typing import Final

from kefu.dispatch.messages import Waiting
from protocol.server import PriorityLevel

URGENT_AFTER_S: Final = 300.0
_PLACE: Final[dict[PriorityLevel, int]] = {"urgent": 0, "high": 1, "normal": 2}


def priority(waiting: Waiting, now: float) -> PriorityLevel:
    """Urgent: a VIP, who was served before, or anybody who has waited for over five minutes."""
    if waiting.is_vip or waiting.is_returned or now - waiting.since > URGENT_AFTER_S:
        return "urgent"
    return "high" if waiting.is_pressing else "normal"


def in_order(waiting: Iterable[Waiting], now: float) -> list[Waiting]:
    """All who wait, the next one first."""
    return sorted(waiting, key=lambda one: _rank(one, now))


def position(one: Waiting, waiting: Iterable[Waiting], now: float) -> int:
    """Where `one` stands among all who wait: 1 for the next."""
    rank = _rank(one, now)
    return 1 + sum(_rank(other, now) < rank for other in waiting)


def _rank(one: Waiting, now: float) -> tuple[bool, bool, int, float, bytes]:
    place = _PLACE[priority(one, now)]
    return (not one.is_vip, not one.is_returned, place, one.since, one.chat_id.bytes)
