"""How many are let in a second, and who first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.errors import Problem
from kefu.gateway.handshakes import RETRY_S, Handshakes
from kefu.gateway.sockets import Socket
from protocol.codes import ErrorCode
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.gateway.stage import Stage, passes, simulated


class Entrance:
    def __init__(self, rate: float) -> None:
        self.clock = HandClock()
        self.handshakes = Handshakes(rate, self.clock, SeededEntropy())
        self.problems: list[Problem] = []

    def come(self, count: int, *, is_stranger: bool) -> int:
        """How many of these were let in."""
        return sum(self._comes(is_stranger) for _ in range(count))

    def _comes(self, is_stranger: bool) -> bool:
        try:
            self.handshakes.check(is_stranger=is_stranger)
        except Problem as problem:
            self.problems.append(problem)
            return False
        return True


@pytest.fixture
def entrance() -> Entrance:
    return Entrance(100)


def test_a_seconds_worth_comes_at_once_and_then_the_rate(entrance: Entrance) -> None:
    assert entrance.come(500, is_stranger=False) == 100
    entrance.clock.advance(0.5)
    assert entrance.come(500, is_stranger=False) == 50
    assert entrance.handshakes.refused == 850
    assert {each.code for each in entrance.problems} == {ErrorCode.OVERLOADED}
    assert {each.status for each in entrance.problems} == {503}
    assert len(entrance.problems) == 850


def test_the_last_quarter_is_for_whoever_brings_a_token(entrance: Entrance) -> None:
    assert entrance.come(500, is_stranger=True) == 75
    assert entrance.come(500, is_stranger=False) == 25


def test_each_is_told_another_moment(entrance: Entrance) -> None:
    entrance.come(200, is_stranger=False)
    waits = {each.retry_after_s or 0.0 for each in entrance.problems}
    assert len(waits) == 100
    assert all(RETRY_S[0] <= wait <= RETRY_S[1] for wait in waits)


def test_without_a_limit_everybody_comes() -> None:
    entrance = Entrance(0)
    assert entrance.come(100_000, is_stranger=True) == 100_000


@given(rate=st.integers(1, 1000), seconds=st.floats(0, 60), is_stranger=st.booleans())
def test_never_more_than_a_burst_and_the_rate_and_never_nobody(
    rate: int, seconds: float, is_stranger: bool
) -> None:
    entrance = Entrance(rate)
    in_all = entrance.come(2 * rate, is_stranger=is_stranger)
    assert in_all > 0
    entrance.clock.advance(seconds)
    in_all += entrance.come(2 * rate, is_stranger=is_stranger)
    assert in_all <= max(rate, 4) + rate * seconds + 1


def test_sockets_beyond_it_are_refused_and_say_when_to_come_back() -> None:
    async def story() -> None:
        stage = Stage()
        handshakes = Handshakes(8, stage.clock, stage.entropy)
        stage.app = Socket(stage.backstage, stage.door(handshakes=handshakes))
        peers = [stage.connect() for _ in range(10)]
        await passes(0.01)
        refused = [p for p in peers if p.sent[0]["type"] == "websocket.http.response.start"]
        assert [peer.sent[0]["status"] for peer in refused] == [503] * 4
        assert all(int(dict(p.sent[0]["headers"])[b"retry-after"]) >= 1 for p in refused)
        known = stage.connect(stage.tokens.customer("c-1", ttl_s=600))
        await known.hear("chat_status")
        for peer in (known, *peers):
            if peer not in refused:
                await peer.leave()

    simulated(story)
