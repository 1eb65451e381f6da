"""What others may ask about the hours in which humans are there."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct


class Duty(Struct, frozen=True):
    """Whether humans are on duty. `next_start` is the beginning of the next shift, in the shop's
    own time zone; None when they are there now or when no shift is ahead within a year."""

    is_open: bool
    next_start: datetime | None = None


class Shifts(Protocol):
    def duty(self, at: datetime, team_id: UUID | None = None) -> Duty:
        """For a team, or for the whole shop. Never waits: what administrators change is heard
        within seconds."""
        ...
