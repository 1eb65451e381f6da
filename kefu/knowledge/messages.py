"""What others may ask of the shop's knowledge."""

from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct

Confidence = Literal["sure", "perhaps", "none"]


class Source(Struct, frozen=True):
    """The entry an answer comes from, as agents see it. `score` is 0..1, higher is nearer."""

    entry_id: UUID
    question: str
    score: float


class Hit(Struct, frozen=True):
    """One entry that fits; `answer` is what the shop wrote."""

    entry_id: UUID
    question: str
    answer: str
    score: float

    @property
    def source(self) -> Source:
        return Source(self.entry_id, self.question, self.score)


class Found(Struct, frozen=True):
    """The nearest entries, the best first. `sure`: answer with the first; `perhaps`: answer with it
    and ask whether that was meant, naming the others; `none`: nobody knows."""

    confidence: Confidence
    hits: tuple[Hit, ...] = ()


class Knowledge(Protocol):
    async def find(self, text: str, locale: str | None, *, limit: int = 3) -> Found:
        """What the shop knows about it. Never raises for a text, however odd."""
        ...

    def note_unanswered(self, text: str, locale: str | None) -> None:
        """Keep a question nobody could answer, for the administrator. Never waits."""
        ...
