"""Each instance in turn is told to leave and started anew, with 500 connections and under load."""

import os

import anyio
import pytest

from tests.cluster.processes.load import SEED, talking
from tests.cluster.processes.several import COUNT, Several
from tests.cluster.processes.traveller import Traveller
from tests.stories.test_kills_under_load import shown
from tests.until import until

ROUNDS = int(os.environ.get("KEFU_UPGRADES", "1"))
PAIRS = 25
CROWD = 500 - 2 * PAIRS
AWAY_AT_MOST_S = 5.0

pytestmark = [pytest.mark.alone, pytest.mark.timeout(120 + 60 * ROUNDS)]


async def come(town: Several, tasks: anyio.abc.TaskGroup) -> list[Traveller]:
    """Customers who only look."""
    crowd = []
    for number in range(CROWD):
        token = town.people.customer()
        one = Traveller(town.sockets, number % COUNT, token, f"~looker-{number}~", seed=SEED)
        crowd.append(one)
        tasks.start_soon(one.live)
    await until(lambda: all(one.resumed_at for one in crowd), within_s=60)
    return crowd


async def test_nobody_is_away_for_long_and_nothing_is_lost(
    town: Several, capsys: pytest.CaptureFixture[str]
) -> None:
    async with anyio.create_task_group() as tasks:
        crowd = await come(town, tasks)
        async with talking(town, PAIRS) as load:
            began = anyio.current_time()
            for number in range(COUNT * ROUNDS):
                await town.stop(number % COUNT)
                await town.start(number % COUNT)
            everybody = [*crowd, *load.everybody]
            await until(lambda: all(one.line is not None for one in everybody))
            await load.gap_closed(within_s=10)
            took_s = anyio.current_time() - began
        tasks.cancel_scope.cancel()
    away_s = [absence.length_s for one in everybody for absence in one.absences]
    assert len(away_s) >= len(everybody) * ROUNDS, "all were sent away"
    with capsys.disabled():
        lines = [
            f"{COUNT * ROUNDS} instances anew in {took_s:.0f} s, {len(everybody)} connections,"
            f" {load.message_count} messages",
            shown("away", away_s),
        ]
        print("", *lines, sep="\n")  # noqa: T201 - the figures are half of what this is for
    assert max(away_s) < AWAY_AT_MOST_S
    codes = {code for one in everybody for code in one.close_codes}
    assert codes <= {4012, 1006}, "who left at its moment cut the line itself"
