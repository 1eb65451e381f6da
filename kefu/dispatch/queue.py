"""The one order of the queue: VIPs, then urgent, high, normal, then the longest wait. Pure."""

from typing import Final
from uuid import UUID

from kefu.dispatch.messages import Waiting
from protocol.server import PriorityLevel

URGENT_AFTER_S: Final = 300.0
_RANK: Final[dict[PriorityLevel, int]] = {"urgent": 0, "high": 1, "normal": 2}


def priority(waiting: Waiting, now: float) -> PriorityLevel:
    """Urgent: a VIP, or anybody who has waited for more than five minutes."""
    if waiting.is_vip or now - waiting.since > URGENT_AFTER_S:
        return "urgent"
    return "normal"


def in_order(waiting: dict[UUID, Waiting], now: float) -> list[Waiting]:
    """All who wait, the next one first."""

    def rank(one: Waiting) -> tuple[bool, int, float, bytes]:
        return (
            not one.is_vip,
            _RANK[priority(one, now)],
            one.since,
            one.chat_id.bytes,
        )

    return sorted(waiting.values(), key=rank)
