"""How often a customer may ask the bot: so many messages within any minute. Pure.

The conversation lives in one place, whatever ways and devices the customer writes by, so that this
is exact across instances. What was not made durable does not count.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from kefu.conversations.commands import Refusal
from protocol.codes import ErrorCode

WINDOW_S: Final = 60.0
TOO_OFTEN: Final = "You are asking faster than the assistant can answer; please wait a moment."


class Pace:
    def __init__(self, per_minute: int, per_minute_vip: int) -> None:
        self._limits = {False: per_minute, True: per_minute_vip}
        self._asked_at: deque[float] = deque()

    def refusal(self, now: float, is_vip: bool, under_way: int = 0) -> Refusal | None:
        """Why not one more; `under_way` are asked of the bot but not durable yet."""
        while self._asked_at and self._asked_at[0] <= now - WINDOW_S:
            self._asked_at.popleft()
        limit = self._limits[is_vip]
        if len(self._asked_at) + under_way < limit:
            return None
        first = self._asked_at[0] if self._asked_at else now
        return Refusal(
            ErrorCode.RATE_LIMITED, TOO_OFTEN, retry_after_s=max(1.0, first + WINDOW_S - now)
        )

    def note(self, asked_at: Iterable[float]) -> None:
        self._asked_at.extend(asked_at)
