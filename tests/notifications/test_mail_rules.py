"""What becomes of a mail, whatever its attempts come to; and what is alarming."""

from hypothesis import given
from hypothesis import strategies as st

from kefu.notifications.messages import MailKind, MailState
from kefu.notifications.state import (
    ALERT_ATTEMPTS,
    ALERT_KINDS,
    LONGEST_PAUSE_S,
    MAX_ATTEMPTS,
    Alert,
    Limits,
    Outcome,
    Reading,
    after,
    alarming,
    pause_s,
)

ONE = ("lin@shop.example",)
TWO = ("mei@shop.example",)
outcomes = st.builds(
    Outcome,
    accepted=st.sampled_from(((), ONE)),
    later=st.sampled_from(((), TWO)),
    unknown=st.sampled_from(((), TWO)),
    refused=st.sampled_from(((), TWO)),
)
LIMITS = Limits(wait_s=600, error_rate=0.05, latency_s=2)


@given(st.lists(outcomes, min_size=MAX_ATTEMPTS, max_size=MAX_ATTEMPTS), st.booleans())
def test_a_mail_ends_and_its_end_is_true(tried: list[Outcome], is_alert: bool) -> None:
    kind: MailKind = "alert" if is_alert else "escalated"
    state: MailState = "pending"
    was_delivered, was_in_doubt, is_over = False, False, False
    attempts = 0
    for attempts, outcome in enumerate(tried, start=1):
        then = after(kind, state, attempts, outcome, was_delivered=was_delivered)
        was_delivered |= bool(outcome.accepted)
        was_in_doubt |= bool(outcome.unknown)
        state = then.state
        is_over = then.pause_s is None
        if is_over:
            break
        assert state == ("unknown" if was_in_doubt else "pending")
    assert is_over
    assert attempts <= (ALERT_ATTEMPTS if is_alert else MAX_ATTEMPTS)
    assert state in ("sent", "failed", "unknown")
    if state == "sent":
        assert was_delivered
    if state == "failed":
        assert not was_delivered
        assert not was_in_doubt
    if not was_in_doubt:
        assert state == ("sent" if was_delivered else "failed")


def test_a_mail_in_doubt_that_is_taken_at_last_is_sent() -> None:
    assert after("escalated", "unknown", 2, Outcome(ONE), was_delivered=False).state == "sent"
    refused = after("escalated", "unknown", 2, Outcome(refused=ONE), was_delivered=False)
    assert (refused.state, refused.pause_s) == ("unknown", None)


def test_pauses_grow_and_have_an_end() -> None:
    assert [pause_s(n) for n in range(1, 5)] == [60, 240, 960, 3840]
    assert pause_s(MAX_ATTEMPTS) == LONGEST_PAUSE_S


def reading(**fields: float | None) -> Reading:
    all_is_well: dict[str, float | None] = {
        "waiting_count": 0,
        "longest_wait_s": 0.0,
        "online_count": 2,
        "is_on_duty": True,
        "error_rate": 0.0,
        "latency_s": 0.1,
    }
    return Reading(**{**all_is_well, **fields})  # type: ignore[arg-type]


def test_a_quiet_shop_is_not_alarming() -> None:
    assert alarming(reading(), LIMITS) == dict.fromkeys(ALERT_KINDS)
    at_the_limit = reading(waiting_count=9, longest_wait_s=600, error_rate=0.05, latency_s=2.0)
    assert alarming(at_the_limit, LIMITS) == dict.fromkeys(ALERT_KINDS)


def test_each_limit_has_its_alert() -> None:
    wild = reading(
        waiting_count=3, longest_wait_s=601, online_count=0, error_rate=0.06, latency_s=2.1
    )
    assert alarming(wild, LIMITS) == {
        "waiting": Alert("waiting", count=3, value=601, limit=600),
        "nobody": Alert("nobody", count=3),
        "errors": Alert("errors", value=0.06, limit=0.05),
        "latency": Alert("latency", value=2.1, limit=2),
    }


def test_nobody_need_be_there_after_hours_or_when_nobody_waits() -> None:
    closed = alarming(reading(waiting_count=3, online_count=0, is_on_duty=False), LIMITS)
    idle = alarming(reading(waiting_count=0, online_count=0), LIMITS)
    assert (closed["nobody"], idle["nobody"]) == (None, None)


def test_what_is_not_known_is_neither_alarming_nor_over() -> None:
    unknown = reading(waiting_count=None, online_count=None, error_rate=None, latency_s=None)
    assert alarming(unknown, LIMITS) == {}
    assert "nobody" not in alarming(reading(waiting_count=1, online_count=None), LIMITS)


def test_a_limit_of_nothing_is_none() -> None:
    wild = reading(waiting_count=3, longest_wait_s=9999, error_rate=1, latency_s=99)
    assert alarming(wild, Limits(0, 0, 0)) == {"nobody": None}
