"""Many answers at once are read in larger pieces; few, and the first piece of each, at once."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from random import Random

import pytest

from kefu.bot import http
from kefu.bot.http import Events, last_words
from kefu.bot.pace import LONGEST_PAUSE_S, SPREAD, UNHURRIED, Pace
from tests.bot.canned import Canned


class Crowded(Pace):
    """So many answers are open, and stay so."""

    def __init__(self, count: int) -> None:
        super().__init__(Random(0))
        self.open = ExitStack()
        for _ in range(count):
            self.open.enter_context(self.reading())


def pieces(*texts: str) -> Callable[[], Awaitable[bytes]]:
    return Canned(*[f"data: {text}\n\n".encode() for text in texts]).readany


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    noted: list[float] = []

    async def note(seconds: float) -> None:
        noted.append(seconds)

    sleep: Callable[[float], Awaitable[None]] = note
    monkeypatch.setattr(http, "sleep", sleep)
    return noted


def test_the_more_answers_are_open_the_longer_the_pause_up_to_a_tenth_of_a_second() -> None:
    assert [Crowded(count).pause_s() for count in (0, 1, UNHURRIED)] == [0, 0, 0]
    usual = [Crowded(UNHURRIED + more).usual_pause_s for more in (1, 10, 1000)]
    assert 0 < usual[0] < usual[1] < usual[2] == LONGEST_PAUSE_S


def test_an_answer_that_is_over_counts_no_more() -> None:
    pace = Crowded(UNHURRIED)
    with pace.reading():
        assert pace.pause_s() > 0
    assert pace.pause_s() == 0


def test_readers_who_were_woken_together_are_so_no_more_after_some_pauses() -> None:
    pace = Crowded(1000)
    woken_at = sorted(sum(pace.pause_s() for _ in range(20)) for _ in range(100))
    assert woken_at[-1] - woken_at[0] > LONGEST_PAUSE_S
    assert sum(woken_at) / (20 * 100) == pytest.approx(LONGEST_PAUSE_S, rel=SPREAD / 10)


async def test_the_first_words_come_at_once_and_each_later_piece_after_a_pause(
    pauses: list[float],
) -> None:
    events, said = Events(pieces("no word", "a", "b", "c"), Crowded(1000)), []
    async for event in events:
        said.append((event.data, len(pauses)))
        events.is_hurried = event.data == b"no word"
    assert said == [(b"no word", 0), (b"a", 0), (b"b", 1), (b"c", 2)]
    assert all(abs(pause / LONGEST_PAUSE_S - 1) <= SPREAD for pause in pauses)


async def test_with_few_answers_nobody_waits(pauses: list[float]) -> None:
    events = Events(pieces("a", "b"), Crowded(1))
    events.is_hurried = False
    assert [event.data async for event in events] == [b"a", b"b"]
    assert pauses == []


async def test_the_end_of_an_answer_is_not_kept_waiting(pauses: list[float]) -> None:
    events, noted = Events(pieces("a", "b", "c"), Crowded(1000)), []
    await anext(events)
    events.is_hurried = False
    await last_words(events, noted.append)
    assert ([event.data for event in noted], pauses) == ([b"b", b"c"], [])
