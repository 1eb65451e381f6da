"""How soon a crashed actor starts again, and when to let it rest. Pure: time and chance come in.

The first restart is immediate: most failures are one bad moment. An actor back from quarantine
is on trial: one more crash sends it back for twice as long.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """`intensity` crashes within `window_s` mean quarantine."""

    intensity: int = 5
    window_s: float = 30.0
    first_delay_s: float = 0.1
    delay_cap_s: float = 5.0
    quarantine_s: float = 1.0
    quarantine_cap_s: float = 60.0
    jitter: float = 0.2
    """The share by which a delay may be shorter or longer."""


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of an actor's crashes."""

    crashed_at: tuple[float, ...] = ()
    quarantine_count: int = 0
    trial_ends_at: float = 0.0


@dataclass(frozen=True, slots=True)
class RestartIn:
    delay_s: float


@dataclass(frozen=True, slots=True)
class Quarantine:
    duration_s: float


NO_CRASHES = History()
USUAL = RestartPolicy()


def after_crash(
    policy: RestartPolicy, history: History, *, now: float, chance: float
) -> tuple[History, RestartIn | Quarantine]:
    """Judge a crash at `now`; `chance` is uniform in [0, 1) and spreads the delays."""
    is_on_trial = now < history.trial_ends_at
    quarantine_count = history.quarantine_count if is_on_trial else 0
    recent = (*(at for at in history.crashed_at if now - at < policy.window_s), now)
    spread = 1 + policy.jitter * (2 * chance - 1)
    if is_on_trial or len(recent) >= policy.intensity:
        doubled_s = policy.quarantine_s * 2.0 ** min(quarantine_count, 32)
        duration_s = min(doubled_s, policy.quarantine_cap_s) * spread
        trial_ends_at = now + duration_s + policy.window_s
        return History((), quarantine_count + 1, trial_ends_at), Quarantine(duration_s)
    history = History(recent, quarantine_count, history.trial_ends_at)
    if len(recent) == 1:
        return history, RestartIn(0.0)
    doubled_s = policy.first_delay_s * 2.0 ** min(len(recent) - 2, 32)
    return history, RestartIn(min(doubled_s, policy.delay_cap_s) * spread)
