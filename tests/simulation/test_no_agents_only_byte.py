"""Nothing that is meant for the staff alone reaches a customer, looked for in every byte.

Every note, whisper, question to a colleague, reason and status note of these runs carries a random
word, and each frame is searched as it leaves the server, whatever it means. That the search finds
what is there is checked in test_planted_bugs.py (`note-to-the-customer`, `whisper-to-the-customer`,
`note-in-the-status`). KEFU_CANARY_FRAMES says how many frames people send; 100,000 is usual.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from itertools import count
from typing import Final
from uuid import UUID

import pytest

from protocol.server import ChatState, ChatStatus
from protocol.wire import encode_json, encode_msgpack
from tests.simulation.search import Report, search
from tests.simulation.test_promises import executor
from tests.simulation.world import CANARY

__all__ = ["executor"]  # a fixture
FRAMES: Final = int(os.environ.get("KEFU_CANARY_FRAMES", "100000"))
FIRST_SEED: Final = 1_000_000  # other runs than those of test_promises.py
CHUNK: Final = 8


@pytest.mark.timeout(60 + FRAMES // 500)
def test_no_agents_only_byte_reaches_a_customer(executor: ProcessPoolExecutor) -> None:
    reports: list[Report] = []
    seeds = count(FIRST_SEED, CHUNK)
    while sum(report.sent for report in reports) < FRAMES:
        first = next(seeds)
        reports += search(executor, range(first, first + CHUNK))
        assert [report.broken for report in reports if report.broken and not report.known] == []

    shown = zip(*(report.shown for report in reports), strict=True)
    as_json, as_msgpack, secrets = (sum(each) for each in shown)
    assert min(as_json, as_msgpack) > FRAMES // 10, "both formats were looked at"
    assert secrets > FRAMES // 50, "there was something to find"


@pytest.mark.parametrize("encode", [encode_json, encode_msgpack])
def test_a_canary_is_seen_in_either_format(encode: object) -> None:
    state = ChatState(UUID(int=1), "active", 126, topic="a ~s0123456789~ b", rating=5)
    frame = ChatStatus(state, datetime(2026, 11, 21, tzinfo=UTC))
    assert callable(encode)
    assert CANARY.findall(encode(frame)) == [b"~s0123456789~"]
