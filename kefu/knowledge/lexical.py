"""Which documents share the rare pieces of a question: BM25 and a likelihood, in plain Python.

A document is all the texts of one answer together: a question takes one word from one phrasing and
the next from another. Scores are shares of the best possible one, 0..1, so that long and short
questions can be judged by one threshold. Behind the documents stands the background: texts that are
no question to the shop.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from heapq import nlargest
from math import log
from typing import Final, TypeAlias

from msgspec import Struct

from kefu.knowledge.grams import grams

K1: Final = 1.2
B: Final = 0.75
CANDIDATES: Final = 48
# Pieces in this many documents altogether are counted for all; commoner ones for the best alone.
POSTINGS: Final = 15_000
# How many texts' worth of doubt stands against what the texts at hand say of a piece.
DOUBT: Final = 40.0
UNSEEN: Final = 0.5
MOST_ODDS: Final = 30.0

Document: TypeAlias = Sequence[str]


class Posting(Struct, frozen=True):
    """The documents with one piece, rising, what it adds to each one's score and at most, and how
    much it speaks for a question to the shop."""

    documents: "array[int]"
    weights: "array[float]"
    best: float
    odds: float


class Overlap(Struct, frozen=True):
    """The best documents with their scores, the score of the best of the background, and by how
    much (a logarithm) the text is likelier among the documents than in the background."""

    shares: dict[int, float]
    background: float
    odds: float


class LexicalIndex:
    """The background counts in how common a piece is, so that with three entries "how" is not
    rare."""

    def __init__(self, documents: Sequence[Document], background: Sequence[Document]) -> None:
        self._count = len(documents)
        self._total = self._count + len(background)
        own, ours = _counted(documents)
        other, theirs = _counted(background)
        self._likelihood = _Likelihood(ours, theirs, _size(documents), _size(background))
        found: dict[str, tuple[array[int], array[float]]] = {}
        for first, counted in ((0, own), (self._count, other)):
            mean = max(sum(each.total() for each in counted) / max(len(counted), 1), 1.0)
            for number, pieces in enumerate(counted, start=first):
                damping = K1 * (1 - B + B * pieces.total() / mean)
                for piece, times in pieces.items():
                    numbers, weights = found.setdefault(piece, (array("L"), array("f")))
                    numbers.append(number)
                    weights.append(times * (K1 + 1) / (times + damping))
        self._postings = {piece: self._posting(piece, *both) for piece, both in found.items()}
        self._unknown = self._rarity(0) * (K1 + 1)

    def _posting(self, piece: str, numbers: "array[int]", weights: "array[float]") -> Posting:
        rarity = self._rarity(len(numbers))
        scaled = array("f", (weight * rarity for weight in weights))
        return Posting(numbers, scaled, rarity * (K1 + 1), self._likelihood.odds(piece))

    def _rarity(self, count: int) -> float:
        return log(1 + (self._total - count + 0.5) / (count + 0.5))

    def overlap(self, text: str, *, without: int | None = None) -> Overlap:
        """`without` leaves out that one of the background."""
        pieces = grams(text)
        postings = [self._postings[piece] for piece in pieces if piece in self._postings]
        best = sum(each.best for each in postings)
        best += self._unknown * (len(pieces) - len(postings))
        if not postings:
            return Overlap({}, 0.0, 0.0)
        postings.sort(key=lambda each: len(each.documents))
        scores = [0.0] * self._total
        left, common = POSTINGS, len(postings)
        for position, posting in enumerate(postings):
            left -= len(posting.documents)
            if left < 0:
                common = position
                break
            for number, weight in zip(posting.documents, posting.weights, strict=True):
                scores[number] += weight
        nearest = _best(scores, 0, self._count)
        behind = _best(scores, self._count, self._total)
        for number in (*nearest, *behind):
            scores[number] += sum(_weight(each, number) for each in postings[common:])
        shares = {each: scores[each] / best for each in nearest if scores[each] > 0}
        others = (scores[each] for each in behind if each - self._count != without)
        background = max(others, default=0.0) / best
        odds = sum(each.odds for each in postings)
        return Overlap(shares, background, max(-MOST_ODDS, min(odds, MOST_ODDS)))


class _Likelihood:
    """How often pieces are in texts of either side; what few texts say is not believed at once."""

    def __init__(
        self, ours: "Counter[str]", theirs: "Counter[str]", our_size: int, their_size: int
    ) -> None:
        self._ours, self._theirs = ours, theirs
        self._our_size, self._their_size = our_size, their_size

    def odds(self, piece: str) -> float:
        ours, theirs = self._ours[piece], self._theirs[piece]
        anywhere = (ours + theirs + UNSEEN) / (self._our_size + self._their_size + 1)
        here = (ours + DOUBT * anywhere) / (self._our_size + DOUBT)
        there = (theirs + DOUBT * anywhere) / (self._their_size + DOUBT)
        return log(here / there)


def _counted(documents: Sequence[Document]) -> "tuple[list[Counter[str]], Counter[str]]":
    """The pieces of each document, and in how many texts of all each piece is."""
    counted, texts_with = [], Counter[str]()
    for document in documents:
        pieces: Counter[str] = Counter()
        for text in document:
            of_text = grams(text)
            pieces.update(of_text)
            texts_with.update(of_text.keys())
        counted.append(pieces)
    return counted, texts_with


def _size(documents: Sequence[Document]) -> int:
    return sum(len(document) for document in documents)


def _best(scores: Sequence[float], first: int, end: int) -> list[int]:
    some = scores[first:end]
    least = nlargest(CANDIDATES, some)[-1] if some else 0.0  # of numbers alone that is quick
    near = ((score, number) for number, score in enumerate(some, first) if score >= least)
    return [number for _, number in nlargest(CANDIDATES, near)]


def _weight(posting: Posting, number: int) -> float:
    at = bisect_left(posting.documents, number)
    is_there = at < len(posting.documents) and posting.documents[at] == number
    return posting.weights[at] if is_there else 0.0
