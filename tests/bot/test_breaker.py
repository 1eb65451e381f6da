"""The breaker's rules, and that they hold in any order of requests, reports and time."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kefu.bot.breaker import Breaker, Permit


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(threshold=3, open_s=10, longest_open_s=40, probe_s=60)
    for _ in range(3):
        breaker.fail(admitted(breaker, now), now)
    return breaker


def admitted(breaker: Breaker, now: float) -> Permit:
    permit = breaker.admit(now)
    assert permit is not None
    return permit


def test_failures_in_a_row_open_it_and_a_success_between_starts_the_count_again() -> None:
    breaker = Breaker(threshold=3)
    for is_good in (False, False, True, False, False):
        permit = admitted(breaker, 0)
        if is_good:
            breaker.succeed(permit)
        else:
            breaker.fail(permit, 0)
    assert breaker.phase(0) == "closed"
    breaker.fail(admitted(breaker, 0), 0)
    assert breaker.phase(0) == "open"
    assert breaker.admit(0) is None
    assert breaker.opened_count == 1


def test_a_failure_that_will_not_pass_opens_it_at_once() -> None:
    breaker = Breaker()
    breaker.fail(admitted(breaker, 0), 0, at_once=True)
    assert breaker.phase(0) == "open"


def test_after_a_while_one_probe_is_let_through_and_its_success_closes() -> None:
    breaker = opened()
    assert breaker.phase(9.9) == "open"
    assert breaker.phase(10) == "half_open"
    probe = admitted(breaker, 10)
    assert breaker.admit(10) is None
    breaker.succeed(probe)
    assert breaker.phase(10) == "closed"
    assert breaker.admit(10) is not None


def test_each_failed_probe_doubles_the_time_up_to_the_longest() -> None:
    breaker, now = opened(), 0.0
    for length in (10, 20, 40, 40):
        assert breaker.phase(now + length - 0.1) == "open"
        now += length
        breaker.fail(admitted(breaker, now), now)
    breaker = opened()
    breaker.fail(admitted(breaker, 10), 10)
    breaker.succeed(admitted(breaker, 30))
    for _ in range(3):
        breaker.fail(admitted(breaker, 30), 30)
    assert breaker.phase(40) == "half_open"  # it was well in between: short again


def test_a_probe_that_was_cancelled_makes_room_for_the_next_at_once() -> None:
    breaker = opened()
    breaker.forget(admitted(breaker, 10))
    assert breaker.phase(10) == "half_open"
    assert breaker.admit(10) is not None


def test_a_probe_nobody_reports_on_is_given_up_and_its_late_report_counts_for_nothing() -> None:
    breaker = opened()
    lost = admitted(breaker, 10)
    assert breaker.admit(69.9) is None
    probe = admitted(breaker, 70)
    breaker.succeed(lost)
    breaker.fail(lost, 70)
    assert breaker.phase(70) == "half_open"
    breaker.succeed(probe)
    assert breaker.phase(70) == "closed"


def test_what_was_asked_before_it_opened_neither_closes_nor_prolongs_it() -> None:
    breaker = Breaker(threshold=1, open_s=10)
    early = [admitted(breaker, 0) for _ in range(3)]
    breaker.fail(early[0], 0)
    breaker.succeed(early[1])
    breaker.fail(early[2], 9)
    assert breaker.phase(9) == "open"
    assert breaker.phase(10) == "half_open"
    assert breaker.opened_count == 1


class AnyOrder(RuleBasedStateMachine):
    """Requests end in any order, at any time, and some never do."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(threshold=3, open_s=10, longest_open_s=40, probe_s=60)
        self.now = 0.0
        self.asking: list[Permit] = []
        self.probes: dict[Permit, float] = {}

    @rule(seconds=st.sampled_from([0.0, 1.0, 9.0, 10.0, 41.0, 61.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        before = self.breaker.phase(self.now)
        permit = self.breaker.admit(self.now)
        if before == "closed":
            assert permit is not None
        if before == "open":
            assert permit is None
        if permit is not None:
            self.asking.append(permit)
            if before == "half_open":
                self.probes = {p: at for p, at in self.probes.items() if self.now < at + 60}
                assert not self.probes, "two probes at once"
                self.probes[permit] = self.now

    @precondition(lambda self: self.asking)
    @rule(pick=st.integers(0, 100), how=st.sampled_from(["well", "badly", "at once", "not"]))
    def report(self, pick: int, how: str) -> None:
        permit = self.asking.pop(pick % len(self.asking))
        before, count = self.breaker.phase(self.now), self.breaker.opened_count
        is_probe = self.probes.pop(permit, None) is not None
        match how:
            case "well":
                self.breaker.succeed(permit)
            case "badly":
                self.breaker.fail(permit, self.now)
            case "at once":
                self.breaker.fail(permit, self.now, at_once=True)
            case "not":
                self.breaker.forget(permit)
        after = self.breaker.phase(self.now)
        if before == "open" or (before == "half_open" and not is_probe):
            assert after == before, "only a probe may end it"
        if before == "closed" and how in ("well", "not"):
            assert after == "closed"
        assert self.breaker.opened_count == count + (before != "open" and after == "open")

    @invariant()
    def it_never_stays_shut(self) -> None:
        """Whatever happened, within the longest times somebody is let through again."""
        phase = self.breaker.phase(self.now + 40)
        assert phase != "open"


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
