"""The checker is checked: each mistake, planted, is found, and by the rule it breaks."""

from typing import Final

import pytest

from tests.simulation.bugs import BUGS, planted
from tests.simulation.play import play

SEEDS: Final = 100

pytestmark = pytest.mark.timeout(600)  # a busy machine plays as well, only later


def first_noticed(name: str) -> int | None:
    """The first seed in which a rule the bug breaks was broken before any other."""
    for seed in range(SEEDS):
        with planted(name):
            outcome = play(seed)
        if outcome.violations and outcome.violations[0][0] in BUGS[name].rules:
            return seed
    return None


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    assert first_noticed(name) is not None, f"{name} was not found in {SEEDS} seeds"


def test_a_bug_is_dug_out_again() -> None:
    with planted("seq-from-a-clock"):
        assert play(0, 50).violations != []
    assert play(0, 50).violations == []
