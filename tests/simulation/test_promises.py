"""No seed breaks a promise. KEFU_SIMULATION_SEEDS says how many are played, 200 is usual, and
KEFU_SIMULATION_FIRST which is the first: many can be played a part at a time.

Among the promises: nothing that is meant for the staff alone reaches a customer. Every note,
whisper, question to a colleague, reason and status note of these runs carries a random word, and
each frame is searched as it leaves the server, whatever it means. That the search finds what is
there is checked in test_planted_bugs.py (`note-to-the-customer`, `whisper-to-the-customer`,
`note-in-the-status`).
"""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import pytest

from protocol.server import ChatState, ChatStatus
from protocol.wire import encode_json, encode_msgpack
from tests.laws.sources import ROOT
from tests.simulation.play import play
from tests.simulation.search import Report, report, report_cluster
from tests.simulation.world import CANARY

SEEDS: Final = int(os.environ.get("KEFU_SIMULATION_SEEDS", "200"))
FIRST: Final = int(os.environ.get("KEFU_SIMULATION_FIRST", "0"))
CHUNK: Final = 10
CHUNKS: Final = range(FIRST, FIRST + SEEDS, CHUNK)

pytestmark = pytest.mark.timeout(600)  # a busy machine plays as well, only later


@pytest.mark.parametrize("first", CHUNKS)
def test_no_seed_breaks_a_promise(first: int) -> None:
    reports = [report(seed) for seed in seeds_from(first)]
    judge_reports(reports)
    judge_frames(reports)


@pytest.mark.parametrize("first", CHUNKS)
def test_no_seed_breaks_a_promise_of_several_instances(first: int) -> None:
    judge_reports([report_cluster(seed) for seed in seeds_from(first)])


def seeds_from(first: int) -> range:
    return range(first, min(first + CHUNK, FIRST + SEEDS))


def judge_reports(reports: list[Report]) -> None:
    assert [report.broken for report in reports if report.broken and not report.known] == []
    assert all(report.written > 0 for report in reports)
    found = sorted({f"{report.known} (seed {report.seed})" for report in reports if report.known})
    if found:
        pytest.xfail("; ".join(found))


def judge_frames(reports: list[Report]) -> None:
    """That nothing meant for the staff alone reached a customer means something only where both
    formats were looked at, and where there was something to find."""
    sent = sum(report.sent for report in reports)
    as_json, as_msgpack, secrets = (
        sum(each) for each in zip(*(report.shown for report in reports), strict=True)
    )
    assert sent > 1000 * len(reports)
    assert min(as_json, as_msgpack) > sent // 20
    assert secrets > sent // 100


@pytest.mark.parametrize("encode", [encode_json, encode_msgpack])
def test_a_canary_is_seen_in_either_format(encode: Callable[[object], bytes]) -> None:
    state = ChatState(UUID(int=1), "active", 126, topic="a ~s0123456789~ b", rating=5)
    frame = ChatStatus(state, datetime(2026, 11, 21, tzinfo=UTC))
    assert CANARY.findall(encode(frame)) == [b"~s0123456789~"]


@pytest.mark.parametrize("nodes", [1, 3])
def test_the_same_seed_plays_the_same_again(nodes: int) -> None:
    first, second = play(7, 300, nodes=nodes), play(7, 300, nodes=nodes)

    assert first.history.digest() == second.history.digest()
    assert first.history.digest() != play(8, 300, nodes=nodes).history.digest()


@pytest.mark.parametrize("nodes", ["1", "3"])
def test_a_seed_plays_the_same_in_every_process(nodes: str) -> None:
    """Python hashes text anew in each: whatever walks through a set of it would show."""
    command = [sys.executable, "-m", "tests.simulation", "--seed", "11", "--messages", "300"]
    command += ["--nodes", nodes]
    told = [
        subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
            timeout=30,
        ).stdout.rpartition("hash ")[2]
        for hash_seed in ("1", "2")
    ]

    assert told[0] == told[1] != ""


def test_a_replay_can_be_read() -> None:
    outcome = play(7, 100)

    lines = outcome.history.lines(tail=5)
    assert len(lines) == 5
    assert "python -m tests.simulation --seed 7" in str(outcome)
