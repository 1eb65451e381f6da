"""How long to wait before a provider is asked again, if at all."""

from typing import Final

from kefu.bot.ports import ProviderError

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 10.0
JITTER: Final = 0.5


def pause_s(failure: ProviderError, tries: int, chance: float, remaining_s: float) -> float | None:
    """None: do not ask again. `chance` is 0..1, `remaining_s` what is left of the turn.

    A provider that names its time is not asked before it, and not much later either.
    """
    if not failure.is_retryable:
        return None
    pause = min(LONGEST_S, SHORTEST_S * 2.0 ** (tries - 1) * (1 + JITTER * chance))
    if failure.retry_after_s is not None:
        pause = failure.retry_after_s + JITTER * chance
    return pause if pause < remaining_s else None
