"""The hours that count: the settings', what administrators chose, and who hears of it when."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import anyio
import pytest

from kefu.audit.messages import SYSTEM
from kefu.errors import KefuError, Problem
from kefu.shifts import store
from kefu.shifts.options import ShiftOptions
from kefu.shifts.rota import Rota, broken
from kefu.storage.database import connected
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from protocol.shifts import SetShift
from tests.agents.office import Office
from tests.shifts.conftest import OPTIONS
from tests.until import until

NOON = datetime(2026, 11, 27, 4, tzinfo=UTC)  # a Friday's noon in Shanghai
EVENING = NOON + timedelta(hours=8)
NIGHT = SetShift(start="20:00", end="08:00")


async def team_of(office: Office, name: str = "Night") -> UUID:
    return (await office.teams.create(SYSTEM, name)).id


async def refused(rota: Rota, team_id: UUID | None, wanted: SetShift) -> Problem:
    with pytest.raises(Problem) as caught:
        await rota.change(SYSTEM, team_id, wanted)
    return caught.value


async def test_without_hours_humans_are_always_there(office: Office) -> None:
    rota = Rota(office.pool, office.clock, office.audit, ShiftOptions())
    assert rota.duty(EVENING).is_open
    assert rota.status().is_always_open


async def test_the_settings_count_until_somebody_chooses(office: Office, rota: Rota) -> None:
    assert rota.duty(NOON).is_open
    said = rota.duty(EVENING)
    assert not said.is_open
    assert str(said.next_start) == "2026-11-28 09:00:00+08:00"
    await rota.change(SYSTEM, None, NIGHT)
    assert not rota.duty(NOON).is_open
    assert rota.duty(EVENING).is_open
    assert rota.config().source == "shop"
    await rota.reset(SYSTEM, None)
    assert rota.duty(NOON).is_open
    assert rota.config().source == "settings"


async def test_a_team_has_hours_of_its_own(office: Office, rota: Rota) -> None:
    night = await team_of(office)
    await rota.change(SYSTEM, night, NIGHT)
    assert (rota.duty(EVENING, night).is_open, rota.duty(EVENING).is_open) == (True, False)
    assert rota.config().team_ids == (night,)
    await rota.change(SYSTEM, None, SetShift(start="01:00", end="02:00"))
    assert rota.duty(EVENING, night).is_open
    await rota.reset(SYSTEM, night)
    assert not rota.duty(EVENING, night).is_open
    assert rota.config(night).source == "shop"


async def test_a_team_elsewhere_starts_by_the_shops_clock(office: Office, rota: Rota) -> None:
    berlin = await team_of(office)
    hours = SetShift(start="09:00", end="17:00", timezone="Europe/Berlin")
    await rota.change(SYSTEM, berlin, hours)
    assert str(rota.duty(NOON, berlin).next_start) == "2026-11-27 16:00:00+08:00"


async def test_a_deleted_team_has_the_shops_hours(office: Office, rota: Rota) -> None:
    night = await team_of(office)
    await rota.change(SYSTEM, night, NIGHT)
    await office.teams.delete(SYSTEM, night)
    await rota.refresh()
    assert rota.config().team_ids == ()
    assert not rota.duty(EVENING, night).is_open


async def test_other_instances_hear_of_a_change(office: Office, rota: Rota) -> None:
    other = Rota(office.pool, office.clock, office.audit, OPTIONS)
    async with anyio.create_task_group() as tasks:
        await rota.change(SYSTEM, None, NIGHT)
        tasks.start_soon(other.run)
        await until(lambda: other.duty(EVENING).is_open)
        tasks.cancel_scope.cancel()


async def test_the_last_known_hours_count_while_postgresql_is_away(
    office: Office, rota: Rota
) -> None:
    await rota.change(SYSTEM, None, NIGHT)
    office.pool.terminate()
    with pytest.raises(StoreUnavailable):
        await rota.refresh()
    assert rota.duty(EVENING).is_open


async def test_hours_that_this_machine_cannot_read_are_left_out(office: Office, rota: Rota) -> None:
    odd = SetShift(start="00:00", end="01:00", timezone="Mars/Base")
    async with connected(office.pool) as connection:
        await store.save_shift(connection, None, odd, NOON)
    await rota.refresh()
    assert rota.config().source == "settings"


async def test_what_is_chosen_is_audited_by_what_it_changes(office: Office, rota: Rota) -> None:
    await rota.change(SYSTEM, None, NIGHT)
    await rota.change(SYSTEM, None, SetShift(start="20:00", end="09:00"))
    entry = await office.last_entry()
    assert (entry.action, entry.subject_type, entry.subject_id) == ("shift.changed", "shop", "shop")
    assert (entry.before, entry.after) == ({"end": "08:00"}, {"end": "09:00"})

    await rota.change(SYSTEM, None, SetShift(start="20:00", end="09:00"))
    assert (await office.last_entry()).id == entry.id

    night = await team_of(office)
    await rota.change(SYSTEM, night, NIGHT)
    assert (await office.last_entry()).subject_id == str(night)
    await rota.reset(SYSTEM, night)
    entry = await office.last_entry()
    assert (entry.action, entry.after) == ("shift.reset", None)
    await rota.reset(SYSTEM, night)
    assert (await office.last_entry()).id == entry.id


async def test_many_who_choose_at_once_leave_one_of_theirs(office: Office, rota: Rota) -> None:
    async with anyio.create_task_group() as tasks:
        for hour in range(8):
            tasks.start_soon(rota.change, SYSTEM, None, SetShift(start=f"0{hour}:00", end="09:00"))
    async with connected(office.pool) as connection:
        kept = await store.all_shifts(connection)
    assert rota.config().start == kept[None].start
    assert await office.audit.verify() is None


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (SetShift(start="09:00"), "end"),
        (SetShift(end="09:00"), "start"),
        (SetShift(start="24:00", end="09:00"), "start"),
        (SetShift(start="09:00", end="24:30"), "end"),
        (SetShift(timezone="Mars/Base"), "timezone"),
        (SetShift(holidays=("2026-02-30",)), "holidays"),
    ],
)
async def test_hours_that_make_no_sense_are_refused(
    rota: Rota, wanted: SetShift, field: str
) -> None:
    problem = await refused(rota, None, wanted)
    assert problem.code is ErrorCode.INVALID_MESSAGE
    assert list(problem.fields) == [field]


async def test_a_team_must_be_there(rota: Rota) -> None:
    nobody = UUID(int=7)
    assert (await refused(rota, nobody, NIGHT)).code is ErrorCode.AGENT_NOT_FOUND
    with pytest.raises(Problem):
        await rota.reset(SYSTEM, nobody)


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"human_shift_start": "09:00"}, "human_shift_end"),
        ({"human_shift_start": "9", "human_shift_end": "18:00"}, "human_shift_start"),
        ({"timezone": "Nowhere"}, "timezone"),
        ({"holidays": ("new year",)}, "holidays"),
    ],
)
async def test_settings_that_make_no_sense_stop_the_start(
    office: Office, options: dict[str, Any], setting: str
) -> None:
    assert list(broken(ShiftOptions(**options))) == [setting]
    with pytest.raises(KefuError, match=f"KEFU_{setting.upper()}"):
        Rota(office.pool, office.clock, office.audit, ShiftOptions(**options))
