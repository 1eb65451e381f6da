"""Vectors of texts, and the engine that blends them with shared words.

Import it only where numpy is installed. All vectors stand in one matrix, a group's next to each
other. A group is as near as its three nearest texts are on average: one text that is near by
accident does not win.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.encoder import Encoder
from kefu.knowledge.engines import Words, samples
from kefu.knowledge.grams import question_key, readable
from kefu.knowledge.state import Ranking, Scale, settled

SEMANTIC_SCALE: Final = Scale(
    score=10.0, background=-12.3, odds=0.04, above=3.4, sure=0.6, lead=0.04
)
WORDS_WEIGHT: Final = 0.6
NEAREST_TEXTS: Final = 3
CANDIDATES: Final = 48
COARSE_AXES: Final = 128
SIDE_WEIGHT: Final = 33.0
SPREAD_DOUBT: Final = 0.003

Matrix = NDArray[np.float32]


class Vectors(Mapping[bytes, Matrix]):
    """Vectors by the hashes of their texts."""

    def __init__(self, hashes: Sequence[bytes], matrix: Matrix) -> None:
        self._row = {each: row for row, each in enumerate(hashes)}
        self.matrix = matrix

    def __getitem__(self, text_hash: bytes) -> Matrix:
        row: Matrix = self.matrix[self._row[text_hash]]
        return row

    def __iter__(self) -> Any:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, text_hash: object) -> bool:
        return text_hash in self._row


def packed(rows: Any) -> list[bytes]:
    """As they are kept: half the precision loses nothing that can be measured."""
    return [row.tobytes() for row in np.asarray(rows).astype("<f2")]


def unpacked(kept: bytes) -> Matrix:
    return np.frombuffer(kept, "<f2").astype(np.float32)


def gathered(hashes: Sequence[bytes], *sources: Mapping[bytes, Matrix]) -> Vectors:
    """These vectors in this order, each from the first source that has it. One may come twice."""
    rows = [next(each[wanted] for each in sources if wanted in each) for wanted in hashes]
    return Vectors(hashes, np.stack(rows) if rows else np.zeros((0, 0), np.float32))


class SemanticEngine:
    """`vectors` stand in the order of the groups, `counts` says how many of them each group has;
    those of the background stand in the order of its texts."""

    def __init__(
        self,
        encoder: Encoder,
        words: Words,
        vectors: Vectors,
        counts: Sequence[int],
        background: Vectors,
    ) -> None:
        self._encoder = encoder
        self._words = words
        self._matrix, self._background = vectors.matrix, background.matrix
        self._document_of = np.repeat(
            np.arange(len(words.background)), [len(texts) for texts in words.background]
        )
        self._ends = np.cumsum(np.asarray(counts, np.int64))
        self._starts = self._ends - counts
        self._axes = _main_axes(self._matrix)
        # a column for each text: in rows of 128 numbers the product takes three times as long
        self._coarse = np.ascontiguousarray((self._matrix @ self._axes).T)
        self._middle, self._direction = _between(self._background, self._matrix)
        rankings = (
            self._rank(text, self._background[row], number)
            for number, row, text in samples(words.background)
        )
        self.scale = settled(SEMANTIC_SCALE, rankings)

    def rank(self, text: str) -> Ranking:
        text = readable(text)
        return self._rank(text, self._encoder.encode([text])[0])

    def _rank(self, text: str, vector: Matrix, without: int | None = None) -> Ranking:
        if not len(self._ends):
            return Ranking()
        overlap = self._words.index.overlap(text, without=without)
        numbers = sorted({*self._candidates(vector), *overlap.shares})
        scores = {
            number: nearness + WORDS_WEIGHT * overlap.shares.get(number, 0.0)
            for number, nearness in zip(numbers, self._nearness(numbers, vector), strict=True)
        }
        ranked = sorted(scores.items(), key=lambda each: (-each[1], each[0]))
        background = self._background_of(vector, without) + WORDS_WEIGHT * overlap.background
        side = float((vector - self._middle) @ self._direction)
        exact = self._words.exact.get(question_key(text))
        return Ranking(tuple(ranked), background, overlap.odds + SIDE_WEIGHT * side, exact)

    def _candidates(self, vector: Matrix) -> Iterable[int]:
        """Groups with a text that may be among the nearest, by a quarter of the numbers."""
        roughly = np.maximum.reduceat((vector @ self._axes) @ self._coarse, self._starts)
        nearest = np.argpartition(-roughly, min(CANDIDATES, len(roughly) - 1))[:CANDIDATES]
        return map(int, nearest)

    def _nearness(self, numbers: Sequence[int], vector: Matrix) -> Iterator[float]:
        """Of each of these groups."""
        rows = [range(self._starts[number], self._ends[number]) for number in numbers]
        nearness = (self._matrix[[row for some in rows for row in some]] @ vector).tolist()
        at = 0
        for some in rows:
            yield _mean_of_best(nearness[at : at + len(some)])
            at += len(some)

    def _background_of(self, vector: Matrix, without: int | None) -> float:
        nearness = self._background @ vector
        if without is not None:
            nearness = nearness[self._document_of != without]
        if len(nearness) > NEAREST_TEXTS:
            nearness = np.partition(nearness, -NEAREST_TEXTS)[-NEAREST_TEXTS:]
        return float(nearness.mean()) if len(nearness) else 0.0


def _main_axes(matrix: Matrix) -> Matrix:
    """The directions in which the vectors differ most: their products are nearly the whole ones."""
    if len(matrix) == 0:
        return matrix.T
    axes: Matrix = np.linalg.eigh(matrix.T @ matrix)[1][:, -COARSE_AXES:]
    return np.ascontiguousarray(axes)


def _between(theirs: Matrix, ours: Matrix) -> tuple[Matrix, Matrix]:
    """The middle between two sets of vectors, and the direction in which they differ most for how
    much each of them spreads (a ridge regression): positive is on our side."""
    if not len(ours) or not len(theirs):
        return np.zeros(1, np.float32), np.zeros(1, np.float32)
    middle = (ours.mean(axis=0) + theirs.mean(axis=0)) / 2
    ours, theirs = ours - middle, theirs - middle
    spread = ours.T @ ours / len(ours) + theirs.T @ theirs / len(theirs)
    spread += SPREAD_DOUBT * np.eye(len(spread), dtype=np.float32)
    return middle, np.linalg.solve(spread, ours.mean(axis=0) - theirs.mean(axis=0))


def _mean_of_best(nearness: Sequence[float]) -> float:
    best = sorted(nearness)[-NEAREST_TEXTS:]
    return sum(best) / len(best)
