"""Who wants to be told when which actor ends. Kept by address, so it survives restarts."""

from actors.actor import ActorId
from actors.errors import LimitReached

WATCH_LIMIT = 1024


class Watches:
    """At most one message for each pair of watcher and watched."""

    def __init__(self) -> None:
        self._by_watched: dict[ActorId, dict[ActorId, object]] = {}
        self._by_watcher: dict[ActorId, dict[ActorId, None]] = {}

    def add(self, watcher: ActorId, watched: ActorId, message: object) -> None:
        """Raises LimitReached beyond 1,024 watched by one watcher."""
        mine = self._by_watcher.setdefault(watcher, {})
        if len(mine) >= WATCH_LIMIT and watched not in mine:
            raise LimitReached(f"{watcher} already watches {WATCH_LIMIT} others")
        mine[watched] = None
        self._by_watched.setdefault(watched, {})[watcher] = message

    def take(self, watched: ActorId) -> list[tuple[ActorId, object]]:
        """Who is to be told what about the end of `watched`; each only once."""
        told = self._by_watched.pop(watched, {})
        for watcher in told:
            mine = self._by_watcher[watcher]
            del mine[watched]
            if not mine:
                del self._by_watcher[watcher]
        return list(told.items())

    def forget_all(self, watcher: ActorId) -> None:
        for watched in self._by_watcher.pop(watcher, {}):
            others = self._by_watched[watched]
            del others[watcher]
            if not others:
                del self._by_watched[watched]
