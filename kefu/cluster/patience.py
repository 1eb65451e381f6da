"""For how long those who lived before Redis was away are believed to live still."""

from collections.abc import Mapping
from typing import Final

from kefu.cluster.ports import Member

SAID_AGAIN_S: Final = 1.5
"""After Redis was away, or has forgotten who owns what, everybody says within a beat, a second,
that they live and which slots are theirs."""


class Patience:
    """Nobody is dead, and nothing free, only because Redis does not know better yet: no lease could
    be renewed meanwhile, so theirs proves nothing."""

    def __init__(self) -> None:
        self._left_s = 0.0
        self._seen_at: float | None = None
        self._shown: Mapping[str, Member] = {}
        self._missed: Mapping[str, Member] = {}

    @property
    def lasts(self) -> bool:
        return self._left_s > 0

    def begin(self) -> None:
        """A Redis that goes again meanwhile prolongs nothing: whoever is dead must be found so."""
        if self._shown and not self.lasts:
            self._missed, self._left_s = self._shown, SAID_AGAIN_S

    def pass_time(self, now: float, *, is_there: bool) -> None:
        """Tell after every beat whether Redis answered it. Time passes only between two that it
        did: else it was away for most of it, perhaps."""
        if is_there and self._seen_at is not None:
            self._left_s = max(0.0, self._left_s - (now - self._seen_at))
        self._seen_at = now if is_there else None

    def living(self, shown: Mapping[str, Member]) -> Mapping[str, Member]:
        """Who is to be taken for alive, of those Redis shows and those it showed before."""
        self._shown = shown
        return {**self._missed, **shown} if self.lasts else shown
