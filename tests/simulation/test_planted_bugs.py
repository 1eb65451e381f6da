"""The checker is checked: each mistake, planted, is found, and by the rule it breaks."""

from typing import Final

import pytest

from tests.simulation.bugs import BUGS, planted
from tests.simulation.findings import known
from tests.simulation.play import Outcome, play

SEEDS: Final = 100


def first_broken(name: str) -> Outcome | None:
    """The first seed that breaks a promise for a reason of its own."""
    for seed in range(SEEDS):
        with planted(name):
            outcome = play(seed)
        if outcome.violations and known(outcome.violations) is None:
            return outcome
    return None


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    outcome = first_broken(name)

    assert outcome is not None, f"{name} was not found in {SEEDS} seeds"
    rule, sentence = outcome.violations[0]
    assert rule in BUGS[name].rules, sentence


def test_a_bug_is_dug_out_again() -> None:
    with planted("seq-from-a-clock"):
        assert play(0, 50).violations != []
    assert play(0, 50).violations == []
