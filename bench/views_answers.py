"""How long an answer takes in the process, and whether it is right: scipy counts it again."""

import time
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from kefu.recommendations.counting.index import Index
from kefu.recommendations.counting.postings import Postings

LIMIT = 10
Figures = dict[str, object]
Answer = list[tuple[int, float]]


def spread(seconds: Sequence[float]) -> Figures:
    """In milliseconds."""
    if not seconds:
        return {}
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    ordered = sorted(seconds)
    return {name: round(ordered[int(q * (len(ordered) - 1))] * 1e3, 3) for name, q in at.items()}


class Watch:
    """Times calls, by the clock and by the processor: the latter is what others do not disturb."""

    def __init__(self) -> None:
        self.clock_s: list[float] = []
        self.cpu_s: list[float] = []
        self.start()

    def start(self) -> None:
        self._cpu, self._clock = time.thread_time(), time.perf_counter()

    def stop(self) -> None:
        self.clock_s.append(time.perf_counter() - self._clock)
        self.cpu_s.append(time.thread_time() - self._cpu)

    def read(self, less: float = 0.0) -> Figures:
        """`less` is what each of them would have taken anyway."""
        both = {"clock": self.clock_s, "cpu": self.cpu_s}
        return {name: spread([max(0.0, s - less) for s in each]) for name, each in both.items()}


def answer_times(index: Index, products: Iterable[int]) -> Figures:
    watch = Watch()
    for product in products:
        watch.start()
        index.neighbours(product, LIMIT)
        watch.stop()
    return watch.read()


def count_all(index: Index) -> Figures:
    """Find the hot products and count them, as the keeper does, but without its pauses."""
    began, steps = time.process_time(), Watch()

    def step_through(work: Iterable[None]) -> None:
        steps.start()
        for _ in work:
            steps.stop()
            steps.start()
        steps.stop()

    step_through(index.watch_heavy())
    found_s = time.process_time() - began
    for product in list(index.hot):
        step_through(index.count_hot(product))
    return {
        "products": len(index.hot),
        "share_of_views": round(_share(index), 3),
        "finding_cpu_s": round(found_s, 2),
        "counting_cpu_s": round(time.process_time() - began - found_s, 2),
        "step_ms": steps.read(),
    }


class Exact:
    """The formula by sparse matrices, from the histories alone."""

    def __init__(self, postings: Postings) -> None:
        ones = np.ones(len(postings), np.int32)
        shape = postings.viewer_count, postings.product_count
        columns, starts = np.asarray(postings.products), np.asarray(postings.product_start)
        self._by_viewer = csr_matrix((ones, columns, starts), shape=shape)
        self._by_product: csc_matrix = self._by_viewer.tocsc()
        self._count = np.diff(self._by_product.indptr).astype(np.int64)

    def scores(self, product: int) -> np.ndarray:
        """With every product, itself at 0."""
        first, last = self._by_product.indptr[product : product + 2]
        both = self._by_viewer[self._by_product.indices[first:last]].sum(axis=0)
        both = np.asarray(both, dtype=np.int64).ravel()
        found = np.flatnonzero(both)
        scores = np.zeros(self._count.size)
        scores[found] = both[found] / np.sqrt(self._count[product] * self._count[found])
        scores[product] = 0.0
        return scores


def mistakes(exact: Exact, answers: dict[int, Answer]) -> int:
    """Answers that are not, to the last bit, what the formula gives; equals may change places."""
    return sum(not _is_right(exact.scores(each), answer) for each, answer in answers.items())


def recall(exact: Exact, answers: dict[int, Answer]) -> float:
    """Of the ten best, how many are among those answered; equals of the tenth count as well."""
    found = wanted = 0
    for product, answer in answers.items():
        scores = exact.scores(product)
        best = np.sort(scores)[::-1][:LIMIT]
        best = best[best > 0]
        wanted += best.size
        found += sum(scores[other] >= best[-1] for other, _ in answer)
    return round(found / wanted, 4) if wanted else 1.0


def _is_right(scores: np.ndarray, answer: Answer) -> bool:
    best = np.sort(scores)[::-1][:LIMIT]
    return (
        all(scores[other] == score for other, score in answer)
        and [score for _, score in answer] == best[best > 0].tolist()
    )


def _share(index: Index) -> float:
    hot = np.array(list(index.hot), np.int64)
    count = np.diff(index.postings.viewer_start)
    return float(count[hot].sum() / max(1, count.sum()))
