"""One timer watches many waits: late is who takes too long at one, not who waits often."""

import asyncio

from kefu.patience import Patience
from tests.gateway.stage import passes, simulated

WITHIN_S = 10.0


class Story:
    """A patience, and the moments at which it was over, since the beginning."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.late_at: list[float] = []
        self.patience = Patience(WITHIN_S, self._note)

    def _note(self) -> None:
        self.late_at.append(round(self._loop.time() - self._began, 3))

    async def waits(self, seconds: float) -> None:
        self.patience.begin()
        await passes(seconds)
        self.patience.end()


def test_who_waits_often_but_never_long_is_not_late() -> None:
    async def story() -> None:
        told = Story()
        for _ in range(20):
            await told.waits(WITHIN_S - 1)
        await passes(5 * WITHIN_S)
        assert told.late_at == []

    simulated(story)


def test_one_long_wait_is_late_at_its_own_deadline_and_once() -> None:
    async def story() -> None:
        told = Story()
        await told.waits(WITHIN_S - 1)
        await passes(3)
        await told.waits(3 * WITHIN_S)
        assert told.late_at == [WITHIN_S - 1 + 3 + WITHIN_S]
        await told.waits(2 * WITHIN_S)
        assert len(told.late_at) == 2, "the next wait is watched as well"

    simulated(story)


def test_nobody_is_late_behind_its_end() -> None:
    async def story() -> None:
        told = Story()
        told.patience.begin()
        await passes(WITHIN_S - 1)
        told.patience.stop()
        await passes(5 * WITHIN_S)
        assert told.late_at == []

    simulated(story)
