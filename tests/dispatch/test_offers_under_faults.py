"""The whole instance on a virtual clock, with its store and network failing, offers being made."""

from functools import partial

import pytest

from kefu.dispatch import actor
from tests.simulation.play import play

SEEDS = 12


@pytest.mark.parametrize("mode", ["round_robin", "least_busy"])
def test_offers_break_no_promise_and_leave_nobody_waiting(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranded: list[int] = []
    world = partial(actor.World, mode=mode, offer_s=3.0, on_stranded=stranded.append)
    monkeypatch.setattr(actor, "World", world)
    for seed in range(SEEDS):
        outcome = play(seed, 300)
        assert outcome.violations == [], f"seed {seed}, {mode}"
    assert len(stranded) > 100
    assert set(stranded) == {0}
