"""The rules of mails and alerts: what becomes of a mail after an attempt, and what is alarming.

Pure. A mail in doubt (the connection broke after its text was handed over) is sent again under the
same Message-ID and stays "unknown" until a server has said yes: it may have arrived already.
"""

from typing import Final, Literal

from msgspec import Struct

from kefu.notifications.messages import MailKind, MailState

AlertKind = Literal["waiting", "nobody", "errors", "latency"]
ALERT_KINDS: Final[tuple[AlertKind, ...]] = ("waiting", "nobody", "errors", "latency")

MAX_ATTEMPTS: Final = 8
ALERT_ATTEMPTS: Final = 4  # who reads of it an hour later has no use for it
FIRST_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 4 * 3600.0


class Outcome(Struct, frozen=True):
    """What an attempt came to, for each address it was meant for.

    `later`: not now, ask again. `unknown`: perhaps. `refused`: never. `failure` says why in a word,
    without anybody's address. `is_reachable`: the server could be spoken to at all.
    """

    accepted: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    failure: str | None = None
    is_reachable: bool = True


class Next(Struct, frozen=True):
    """`pause_s` None: nothing is left to do."""

    state: MailState
    pause_s: float | None = None


def after(
    kind: MailKind, state: MailState, attempts: int, outcome: Outcome, *, was_delivered: bool
) -> Next:
    """What a mail is after its `attempts`-th attempt. `was_delivered`: to somebody, earlier."""
    is_in_doubt = state == "unknown" or bool(outcome.unknown)
    has_arrived = was_delivered or bool(outcome.accepted)
    if outcome.later or outcome.unknown:
        most = ALERT_ATTEMPTS if kind == "alert" else MAX_ATTEMPTS
        if attempts < most:
            return Next("unknown" if is_in_doubt else "pending", pause_s(attempts))
    elif has_arrived:
        return Next("sent")
    if is_in_doubt:
        return Next("unknown")
    return Next("sent" if has_arrived else "failed")


def pause_s(attempts: int) -> float:
    """How long to wait after so many attempts: 1, 4, 16, 64 minutes, then 4 hours."""
    return min(FIRST_PAUSE_S * 4.0 ** (attempts - 1), LONGEST_PAUSE_S)


class Limits(Struct, frozen=True):
    """What is too much: a wait, a share of failures, a time to answer. A limit of 0 is none."""

    wait_s: float
    error_rate: float
    latency_s: float


class Reading(Struct, frozen=True):
    """How things are. None: not known now, which neither raises nor ends an alert."""

    waiting_count: int | None
    longest_wait_s: float
    online_count: int | None
    is_on_duty: bool
    error_rate: float | None
    latency_s: float | None


class Alert(Struct, frozen=True):
    """What is told to the team. `is_over`: it was alarming and is no longer."""

    kind: AlertKind
    is_over: bool = False
    count: int = 0
    value: float = 0.0
    limit: float = 0.0


def alarming(reading: Reading, limits: Limits) -> dict[AlertKind, Alert | None]:
    """For each kind that can be judged, the alert, or None when all is well."""
    found: dict[AlertKind, Alert | None] = {}
    count, wait_s = reading.waiting_count, reading.longest_wait_s
    if count is not None and limits.wait_s:
        is_long = count > 0 and wait_s > limits.wait_s
        alert = Alert("waiting", count=count, value=wait_s, limit=limits.wait_s)
        found["waiting"] = alert if is_long else None
    if count == 0 or not reading.is_on_duty:
        found["nobody"] = None
    elif count is not None and reading.online_count is not None:
        found["nobody"] = None if reading.online_count else Alert("nobody", count=count)
    if reading.error_rate is not None and limits.error_rate:
        alert = Alert("errors", value=reading.error_rate, limit=limits.error_rate)
        found["errors"] = alert if reading.error_rate > limits.error_rate else None
    if reading.latency_s is not None and limits.latency_s:
        alert = Alert("latency", value=reading.latency_s, limit=limits.latency_s)
        found["latency"] = alert if reading.latency_s > limits.latency_s else None
    return found
