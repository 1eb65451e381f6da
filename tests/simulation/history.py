"""What happened in one run, in order. An `invoke` ends `ok`, `fail` or never: nobody knows."""

import hashlib
from typing import Literal, NamedTuple
from uuid import UUID

Kind = Literal["invoke", "ok", "fail", "info", "hear", "store", "fault", "broken"]


class Event(NamedTuple):
    at: float
    who: str
    kind: Kind
    what: str
    details: tuple[object, ...]


class History:
    """Ids are shown as `chat-3` where somebody gave them a name, else by their last digits."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._names: dict[UUID, str] = {}
        self._is_closed = False

    def close(self) -> None:
        """What comes now is the tidying up of the run, and no part of it."""
        self._is_closed = True

    def add(self, at: float, who: str, kind: Kind, what: str, *details: object) -> None:
        if not self._is_closed:
            self.events.append(Event(at, who, kind, what, details))

    def call(self, id: UUID, name: str) -> None:
        """Show the id under this name."""
        self._names[id] = name

    def digest(self) -> str:
        """The same for two runs exactly when everything happened the same."""
        hash = hashlib.sha256()
        for event in self.events:
            hash.update(repr(event).encode())
        return hash.hexdigest()

    def lines(self, tail: int | None = None) -> list[str]:
        """As aligned columns: time, who, kind, what."""
        events = self.events if tail is None else self.events[-tail:]
        return [
            f"{event.at:10.4f}  {event.who:<12} {event.kind:<7} {event.what:<16} "
            + " ".join(self._word(detail) for detail in event.details)
            for event in events
        ]

    def _word(self, detail: object) -> str:
        if isinstance(detail, UUID):
            return self._names.get(detail, f"..{detail.hex[-6:]}")
        return str(detail)
