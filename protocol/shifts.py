"""The hours in which humans are there, over HTTP: read by agents, changed by administrators."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

HOLIDAY_LIMIT: Final = 1000

# A length beside each pattern: `$` alone would let a line break through behind it.
StartTime = Annotated[
    str, Meta(min_length=5, max_length=5, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
]
EndTime = Annotated[
    str, Meta(min_length=5, max_length=5, pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")
]
TimeZoneName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")]
Holiday = Annotated[
    str, Meta(min_length=10, max_length=10, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
]
Source = Literal["settings", "shop", "team"]


class SetShift(Struct, frozen=True):
    """All of the hours from now on; what is left out is not kept but as written here.

    `start` and `end` come together; without them the whole day counts. An end at or before the
    start is one of the next day. Without a timezone it is that of the settings.
    """

    start: StartTime | None = None
    end: EndTime | None = None
    timezone: TimeZoneName | None = None
    weekends_disabled: bool = False
    holidays: Annotated[tuple[Holiday, ...], Meta(max_length=HOLIDAY_LIMIT)] = ()


class ShiftConfig(Struct, frozen=True):
    """The hours that count for the shop or a team. `source` says who chose them; a team without
    hours of its own has the shop's. `team_ids` are the teams that have their own."""

    team_id: UUID | None
    source: Source
    start: str | None
    end: str | None
    timezone: str
    weekends_disabled: bool
    holidays: tuple[str, ...]
    team_ids: tuple[UUID, ...] = ()


class ShiftStatus(Struct, frozen=True):
    """Whether humans are on duty at `at`. Both times are written in the shop's time zone."""

    team_id: UUID | None
    is_open: bool
    is_always_open: bool
    at: datetime
    next_start: datetime | None
