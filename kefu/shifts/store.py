"""The SQL of the hours that administrators chose: one row for the shop, one for each such team."""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from kefu.storage.database import Connection
from protocol.shifts import SetShift

COLUMNS: Final = "team_id, starts, ends, time_zone, weekends_disabled, holidays"
CHANGE_KEY: Final = 0x73686674  # "shft"

ALL_SHIFTS: Final = f"SELECT {COLUMNS} FROM shift_hours"


async def all_shifts(connection: Connection) -> dict[UUID | None, SetShift]:
    """By team; None is the whole shop."""
    return {row["team_id"]: _shift(row) for row in await connection.fetch(ALL_SHIFTS)}


LOCK: Final = "SELECT pg_advisory_xact_lock($1)"
ONE_SHIFT: Final = f"SELECT {COLUMNS} FROM shift_hours WHERE team_id IS NOT DISTINCT FROM $1::uuid"


async def lock_shift(connection: Connection, team_id: UUID | None) -> SetShift | None:
    """The hours kept for a team or the shop; nobody else changes any until the transaction ends."""
    await connection.execute(LOCK, CHANGE_KEY)
    row = await connection.fetchrow(ONE_SHIFT, team_id)
    return None if row is None else _shift(row)


LOCK_TEAM: Final = "SELECT id FROM teams WHERE id = $1 FOR KEY SHARE"


async def lock_team(connection: Connection, team_id: UUID) -> bool:
    """Whether there is such a team; it stays until the transaction ends."""
    return await connection.fetchval(LOCK_TEAM, team_id) is not None


SAVE_SHIFT: Final = f"""
INSERT INTO shift_hours ({COLUMNS}, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (team_id) DO UPDATE SET
    starts = excluded.starts, ends = excluded.ends, time_zone = excluded.time_zone,
    weekends_disabled = excluded.weekends_disabled, holidays = excluded.holidays,
    changed_at = excluded.changed_at
"""


async def save_shift(
    connection: Connection, team_id: UUID | None, shift: SetShift, now: datetime
) -> None:
    await connection.execute(
        SAVE_SHIFT,
        team_id,
        shift.start,
        shift.end,
        shift.timezone,
        shift.weekends_disabled,
        shift.holidays,
        now,
    )


DELETE_SHIFT: Final = "DELETE FROM shift_hours WHERE team_id IS NOT DISTINCT FROM $1::uuid"


async def delete_shift(connection: Connection, team_id: UUID | None) -> None:
    await connection.execute(DELETE_SHIFT, team_id)


def _shift(row: asyncpg.Record) -> SetShift:
    return SetShift(
        start=row["starts"],
        end=row["ends"],
        timezone=row["time_zone"],
        weekends_disabled=row["weekends_disabled"],
        holidays=tuple(row["holidays"]),
    )
