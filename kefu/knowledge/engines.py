"""Ranks groups of entries by how well they fit a question: the port, and the engine always there.

Engines are immutable and made anew when entries change; making one and ranking block, so they run
in threads.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from msgspec import Struct

from kefu.knowledge.grams import question_key, readable
from kefu.knowledge.lexical import Document, LexicalIndex
from kefu.knowledge.state import Group, Ranking, Scale, settled

LEXICAL_SCALE: Final = Scale(score=7.8, background=-10.7, odds=0.09, above=4.1, sure=0.6, lead=0.05)
SAMPLES: Final = 300


class Engine(Protocol):
    @property
    def scale(self) -> Scale: ...

    def rank(self, text: str) -> Ranking:
        """The groups nearest to the first 200 characters of the text. Blocks for some ms."""
        ...


class Words(Struct, frozen=True):
    """What both engines know of the entries' words. `exact` leads from what ways of typing the same
    question share to the group that has it."""

    index: LexicalIndex
    exact: dict[str, int]
    background: Sequence[Document]


def words_of(groups: Sequence[Group], background: Sequence[Document]) -> Words:
    index = LexicalIndex([tuple(_texts(group)) for group in groups], background)
    exact = {
        question_key(text): number
        for number, group in enumerate(groups)
        for entry in group
        for text in (*entry.phrasings, entry.question)
    }
    return Words(index, exact, background)


def samples(background: Sequence[Document]) -> list[tuple[int, int, str]]:
    """Some of its texts, spread over all: the number of the document, that of the text among all
    texts, and the text."""
    texts = [(number, text) for number, some in enumerate(background) for text in some]
    step = max(len(texts) // SAMPLES, 1)
    return [(number, at, text) for at, (number, text) in enumerate(texts)][::step]


class LexicalEngine:
    """By shared characters and words alone."""

    def __init__(self, words: Words) -> None:
        self._words = words
        rankings = (self._rank(text, number) for number, _, text in samples(words.background))
        self.scale = settled(LEXICAL_SCALE, rankings)

    def rank(self, text: str) -> Ranking:
        return self._rank(readable(text))

    def _rank(self, text: str, without: int | None = None) -> Ranking:
        overlap = self._words.index.overlap(text, without=without)
        scores = sorted(overlap.shares.items(), key=lambda each: (-each[1], each[0]))
        exact = self._words.exact.get(question_key(text))
        return Ranking(tuple(scores), overlap.background, overlap.odds, exact)


def _texts(group: Group) -> Iterator[str]:
    for entry in group:
        yield from (entry.question, entry.answer, *entry.phrasings)
