"""Ranks groups of entries by how well they fit a question: the port, and the engine always there.

Engines are immutable and made anew when entries change; ranking blocks, so it runs in a thread.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from kefu.knowledge.grams import readable
from kefu.knowledge.lexical import Document, LexicalIndex
from kefu.knowledge.state import Group, Ranking, Scale

LEXICAL_SCALE: Final = Scale(
    score=7.8, background=-10.7, odds=0.09, offset=-3.5, sure=0.6, lead=0.05
)


class Engine(Protocol):
    @property
    def scale(self) -> Scale: ...

    def rank(self, text: str) -> Ranking:
        """The groups nearest to the first 200 characters of the text. Blocks for some ms."""
        ...


class LexicalEngine:
    """By shared characters and words alone."""

    scale = LEXICAL_SCALE

    def __init__(self, groups: Sequence[Group], background: Sequence[Document]) -> None:
        self.index = LexicalIndex([tuple(_texts(group)) for group in groups], background)

    def rank(self, text: str) -> Ranking:
        overlap = self.index.overlap(readable(text))
        scores = sorted(overlap.shares.items(), key=lambda each: (-each[1], each[0]))
        return Ranking(tuple(scores), overlap.background, overlap.odds)


def _texts(group: Group) -> Iterator[str]:
    for entry in group:
        yield from (entry.question, entry.answer, *entry.phrasings)
