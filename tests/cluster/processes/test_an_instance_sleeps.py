"""SIGSTOP for longer than its lease: an instance that wakes believes that its chats are still its
own, and PostgreSQL refuses all that it writes.

It wakes without Redis, so that nobody tells it better for a while.
"""

import os
import signal
from uuid import UUID

import anyio
import asyncpg
import pytest

from tests.cluster.processes.load import Load, talking
from tests.cluster.processes.several import CUT_OFF, Several
from tests.fakes.proxy import Proxy
from tests.until import until

PAUSES = int(os.environ.get("KEFU_PAUSES", "1"))
ASLEEP_S = 10.0
ALONE_S = 2.0
PAIRS = 30

pytestmark = [pytest.mark.alone, pytest.mark.timeout(90 + 30 * PAUSES)]

HEADS = "SELECT chat_id, max(seq) FROM chat_messages GROUP BY chat_id"
EPOCHS = "SELECT slot, epoch FROM slot_owner"
WRITTEN = "SELECT chat_id, seq, epoch FROM chat_messages WHERE chat_id = ANY($1)"


class Fence:
    """How PostgreSQL stood when all that the sleeper owned had been taken from it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._heads: dict[UUID, int] = {}
        self._epochs: dict[int, int] = {}

    async def note(self) -> None:
        connection = await asyncpg.connect(self._load.town.database)
        self._heads = {row["chat_id"]: row["max"] for row in await connection.fetch(HEADS)}
        self._epochs = {row["slot"]: row["epoch"] for row in await connection.fetch(EPOCHS)}
        await connection.close()

    async def breaches(self) -> int:
        """The messages written since under an epoch that was over by then."""
        slots = {pair.chat_id: pair.slot for pair in self._load.pairs}
        connection = await asyncpg.connect(self._load.town.database)
        rows = await connection.fetch(WRITTEN, list(slots))
        await connection.close()
        return sum(
            row["seq"] > self._heads.get(row["chat_id"], 0)
            and row["epoch"] < self._epochs[slots[row["chat_id"]]]
            for row in rows
        )


async def test_an_owner_that_slept_writes_nothing_stale(
    town: Several, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(PAUSES):
        await town.whole()
        async with talking(town, PAIRS) as load:
            closed_s = await put_to_sleep(town, load, proxy)
        with capsys.disabled():
            words = f"{ASLEEP_S:.0f} s asleep, everything said was there {closed_s:.2f} s later"
            print("", words, sep="\n")  # noqa: T201 - the figure is part of what this is for


async def put_to_sleep(town: Several, load: Load, proxy: Proxy) -> float:
    owners, fence, sleeper = await town.owners(), Fence(load), town.server(CUT_OFF)
    its_own = [pair for pair in load.pairs if owners[pair.slot] == CUT_OFF]
    elsewhere = [pair for pair in its_own if all(p.at != CUT_OFF for p in pair.people)]
    assert len(its_own) > len(elsewhere) > 0, "some speak to it, some must go elsewhere"
    began = anyio.current_time()
    await until(lambda: load.acked_between(began, anyio.current_time()) > PAIRS)
    said_before = len(sleeper.said)
    sleeper.process.send_signal(signal.SIGSTOP)
    try:
        await anyio.sleep(ASLEEP_S)
        now = anyio.current_time()
        assert CUT_OFF not in (await town.owners()).values()
        for pair in elsewhere:  # their chat has moved, and goes on
            assert load.acked_between(now - ASLEEP_S / 2, now, pair.people) > 0
        await fence.note()
        proxy.is_refusing = True
        proxy.cut()
    finally:
        sleeper.process.send_signal(signal.SIGCONT)
    await anyio.sleep(ALONE_S)
    proxy.is_refusing = False
    closed_s = await load.gap_closed(within_s=15.0)
    assert await fence.breaches() == 0
    assert "slots_lost" in "".join(sleeper.said[said_before:]), "it tried, and was refused"
    return closed_s
