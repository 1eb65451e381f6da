"""Whether humans are on duty: what administrators chose for a team, else for the shop, else the
settings.

Answers come from memory, which follows PostgreSQL by at most REFRESH_EVERY_S, and at once where the
change was made. While PostgreSQL is away the last known hours count.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import anyio
from msgspec import Struct, structs

from kefu.audit.messages import Act, By, Trail
from kefu.clock import Clock
from kefu.errors import KefuError, Problem
from kefu.shifts import store
from kefu.shifts.calendar import duty, is_date, zone_of
from kefu.shifts.hours import MINUTES_OF_DAY, Hours, minute_of
from kefu.shifts.messages import Duty
from kefu.shifts.options import ShiftOptions
from kefu.storage.database import DatabasePool, connected, transaction
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from protocol.shifts import SetShift, ShiftConfig, ShiftStatus, Source

REFRESH_EVERY_S: Final = 3.0
NO_TEAM: Final = "There is no such team."
log = logging.getLogger("kefu.shifts")


class _Shift(Struct, frozen=True):
    said: SetShift
    hours: Hours
    zone: ZoneInfo


class Rota:
    """Implements messages.Shifts. Start `run()` in a task of its own.

    Raises KefuError for settings that make no hours.
    """

    def __init__(
        self, pool: DatabasePool, clock: Clock, trail: Trail, options: ShiftOptions
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._trail = trail
        self._settings = _of_settings(options)
        self._chosen: dict[UUID | None, _Shift] = {}
        self._reading = asyncio.Lock()  # else an older answer could replace a newer one

    def duty(self, at: datetime, team_id: UUID | None = None) -> Duty:
        """See `Shifts.duty`."""
        shift, _ = self._shift(team_id)
        found = duty(shift.hours, shift.zone, at)
        if found.next_start is None:
            return found
        return Duty(found.is_open, found.next_start.astimezone(self.zone))

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return self._shift(None)[0].zone

    def config(self, team_id: UUID | None = None) -> ShiftConfig:
        """The hours that count. A team nobody knows has the shop's."""
        shift, source = self._shift(team_id)
        own = () if team_id is not None else tuple(id for id in self._chosen if id is not None)
        return ShiftConfig(
            team_id=team_id,
            source=source,
            start=shift.said.start,
            end=shift.said.end,
            timezone=shift.zone.key,
            weekends_disabled=shift.said.weekends_disabled,
            holidays=shift.said.holidays,
            team_ids=tuple(sorted(own)),
        )

    def status(self, team_id: UUID | None = None) -> ShiftStatus:
        """Whether humans are there now."""
        now = self._clock.now()
        found = self.duty(now, team_id)
        return ShiftStatus(
            team_id=team_id,
            is_open=found.is_open,
            is_always_open=self._shift(team_id)[0].hours.is_always,
            at=now.astimezone(self.zone),
            next_start=found.next_start,
        )

    async def change(self, by: By, team_id: UUID | None, wanted: SetShift) -> ShiftConfig:
        """These hours from now on, for the shop or a team.

        Raises `Problem`: INVALID_MESSAGE naming the field, AGENT_NOT_FOUND for an unknown team.
        """
        wanted = self._checked(wanted)
        async with transaction(self._pool) as connection:
            before = await store.lock_shift(connection, team_id)
            if team_id is not None and not await store.lock_team(connection, team_id):
                raise Problem(ErrorCode.AGENT_NOT_FOUND, NO_TEAM)
            if before != wanted:
                await store.save_shift(connection, team_id, wanted, self._clock.now())
                old, new = _difference(before, wanted)
                act = _act(by, "shift.changed", team_id, old, new)
                await self._trail.append(connection, act)
        await self.refresh()
        return self.config(team_id)

    async def reset(self, by: By, team_id: UUID | None) -> ShiftConfig:
        """Back to the shop's hours, or for the shop to the settings. Fine where none were chosen.

        Raises `Problem(AGENT_NOT_FOUND)` for an unknown team.
        """
        async with transaction(self._pool) as connection:
            before = await store.lock_shift(connection, team_id)
            if team_id is not None and not await store.lock_team(connection, team_id):
                raise Problem(ErrorCode.AGENT_NOT_FOUND, NO_TEAM)
            if before is not None:
                await store.delete_shift(connection, team_id)
                act = _act(by, "shift.reset", team_id, structs.asdict(before), None)
                await self._trail.append(connection, act)
        await self.refresh()
        return self.config(team_id)

    async def refresh(self) -> None:
        """Read what administrators chose. Raises StoreUnavailable, and then nothing changes."""
        async with self._reading:
            async with connected(self._pool) as connection:
                rows = await store.all_shifts(connection)
            self._chosen = self._known(rows)

    async def run(self) -> None:
        """Follow what other instances change, for ever."""
        while True:
            try:
                await self.refresh()
            except StoreUnavailable:
                log.warning("shifts_unread")
            except Exception:
                log.exception("shifts_unread")
            await anyio.sleep(REFRESH_EVERY_S)

    def _known(self, rows: Mapping[UUID | None, SetShift]) -> dict[UUID | None, _Shift]:
        chosen: dict[UUID | None, _Shift] = {}
        for team_id, said in rows.items():
            shift = self._chosen.get(team_id)
            if shift is None or shift.said != said:
                shift = _made(said, self._settings.zone)
            if shift is None:  # written by an instance that knows more time zones
                log.warning("shift_unreadable", extra={"timezone": said.timezone})
                continue
            chosen[team_id] = shift
        return chosen

    def _shift(self, team_id: UUID | None) -> tuple[_Shift, Source]:
        if team_id is not None and team_id in self._chosen:
            return self._chosen[team_id], "team"
        if None in self._chosen:
            return self._chosen[None], "shop"
        return self._settings, "settings"

    def _checked(self, wanted: SetShift) -> SetShift:
        """Whole and in order, as it is kept. Raises `Problem(INVALID_MESSAGE)`."""
        wrong = wrongs(wanted)
        if wrong:
            raise Problem(ErrorCode.INVALID_MESSAGE, next(iter(wrong.values())), fields=wrong)
        return structs.replace(
            wanted,
            timezone=wanted.timezone or self._settings.zone.key,
            holidays=tuple(sorted(set(wanted.holidays))),
        )


def wrongs(said: SetShift) -> dict[str, str]:
    """What is wrong with each field; empty when all is well."""
    found: dict[str, str] = {}
    if (said.start is None) != (said.end is None):
        missing = "end" if said.end is None else "start"
        found[missing] = "start and end come together."
    if said.start is not None and minute_of(said.start) in (None, MINUTES_OF_DAY):
        found["start"] = "start is a time from 00:00 to 23:59."
    if said.end is not None and minute_of(said.end) is None:
        found["end"] = "end is a time from 00:00 to 24:00."
    if said.timezone is not None and zone_of(said.timezone) is None:
        found["timezone"] = "timezone is no time zone that this server knows."
    odd = [day for day in said.holidays if not is_date(day)]
    if odd:
        found["holidays"] = "holidays are days that there are, as YYYY-MM-DD."
    return found


def broken(options: ShiftOptions) -> dict[str, str]:
    """What is wrong with the settings, by setting; for `kefu config check`."""
    setting = {"start": "human_shift_start", "end": "human_shift_end"}
    return {setting.get(field, field): text for field, text in wrongs(_said(options)).items()}


def _of_settings(options: ShiftOptions) -> _Shift:
    for setting, text in broken(options).items():
        raise KefuError(f"KEFU_{setting.upper()}: {text}")
    shift = _made(_said(options), None)
    assert shift is not None  # `broken` has seen to the time zone
    return shift


def _said(options: ShiftOptions) -> SetShift:
    return SetShift(
        start=options.human_shift_start,
        end=options.human_shift_end,
        timezone=options.timezone,
        weekends_disabled=options.weekends_disabled,
        holidays=tuple(sorted(set(options.holidays))),
    )


def _made(said: SetShift, otherwise: ZoneInfo | None) -> _Shift | None:
    zone = otherwise if said.timezone is None else zone_of(said.timezone)
    if zone is None:
        return None
    start = None if said.start is None else minute_of(said.start)
    end = None if said.end is None else minute_of(said.end)
    hours = Hours(
        start=0 if start is None else start,
        end=MINUTES_OF_DAY if end is None else end,
        weekends_disabled=said.weekends_disabled,
        holidays=frozenset(said.holidays),
    )
    return _Shift(said, hours, zone)


def _act(
    by: By,
    action: str,
    team_id: UUID | None,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> Act:
    if team_id is None:
        return Act(by, action, "shop", "shop", before, after)
    return Act(by, action, "team", str(team_id), before, after)


def _difference(
    before: SetShift | None, after: SetShift
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    new = structs.asdict(after)
    if before is None:
        return None, new
    old = structs.asdict(before)
    changed = [name for name in new if old[name] != new[name]]
    return {name: old[name] for name in changed}, {name: new[name] for name in changed}
