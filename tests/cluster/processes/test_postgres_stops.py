"""PostgreSQL is stopped as by `pg_ctl stop -m immediate` and started again two seconds later."""

import math
import os

import anyio
import pytest

from tests.cluster.processes.load import talking
from tests.cluster.processes.own_stores import OwnStores
from tests.cluster.processes.several import COUNT, Several
from tests.talk import Talker
from tests.until import until

STOPS = int(os.environ.get("KEFU_POSTGRES_STOPS", "1"))
AWAY_S = 2.0
PAIRS = 30

pytestmark = [pytest.mark.alone, pytest.mark.timeout(90 + 20 * STOPS)]


async def test_nothing_is_acknowledged_meanwhile_and_all_is_written_once_afterwards(
    town: Several, own_stores: OwnStores, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    for number in range(STOPS):
        await town.whole()
        async with talking(town, PAIRS) as load:
            stranger = town.people.customer()
            url = town.sockets[number % COUNT]
            async with Talker.connected(url, stranger) as talker:
                await talker.settle()
                began = anyio.current_time()
                await until(lambda began=began, load=load: load.acked_between(began, math.inf) > 60)
                own_stores.stop_postgres()
                stopped = anyio.current_time()
                try:
                    await talker.send("start_chat", {}, id="start")
                    fault = (await talker.expect("error"))["payload"]
                    assert fault["code"] == "OVERLOADED"
                    assert fault["retry_after_s"] > 0
                    refused_s = anyio.current_time() - stopped
                    await anyio.sleep_until(stopped + AWAY_S)
                    told = anyio.current_time()
                finally:
                    await own_stores.start_postgres()
                back = anyio.current_time()
                # what was committed just before may still be on its way to us
                assert load.acked_between(stopped + 0.5, told) == 0
                closed_s = await load.gap_closed(within_s=10)
                await talker.start()
        said.append(
            f"away {back - stopped:.1f} s, refused after {refused_s:.2f} s, "
            f"all written {closed_s:.2f} s after the return"
        )
    with capsys.disabled():
        print("", *said, sep="\n")  # noqa: T201 - the figures are half of what this is for
