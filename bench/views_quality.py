"""Would the product that somebody looked at next have been recommended? By each way to score.

Of every viewer with two products or more the last one is left out; what goes with the one before it
is asked for, without what the viewer has seen already.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import log2

import numpy as np

from bench.views_answers import LIMIT, Figures
from bench.views_drawn import packed
from bench.views_peers import implicit
from bench.views_read import Views
from kefu.recommendations.blending import blended
from kefu.recommendations.counting.index import Index
from kefu.recommendations.counting.scoring import Score, cosine, shrunk

DEEP = 200
RECENT = 5
BATCH = 500
Case = tuple[list[int], int]
"""What a viewer had seen, the last one last, and what came next."""


def compare(views: Views, most: int) -> dict[str, Figures]:
    """By what is compared; `most` viewers are asked about."""
    known, cases = _left_out(views)
    chance = np.random.default_rng(1)
    cases = [cases[each] for each in chance.permutation(len(cases))[:most]]
    found: dict[str, Figures] = {}
    for name, score in (("cosine", cosine), ("shrunk", shrunk)):
        index = _index_of(known, score)
        found[name] = _rated(cases, partial(_after_last, index))
        found[f"{name}, last {RECENT}"] = _rated(cases, partial(_after_some, index))
        found["popular"] = _rated(cases, lambda _seen, index=index: index.popular(DEEP))
    for model in ("CosineRecommender", "BM25Recommender"):
        found[f"implicit {model}"] = _of_implicit(model, known, cases)
    return found


def _of_implicit(model: str, known: Views, cases: list[Case]) -> Figures:
    last = sorted({seen[-1] for seen, _ in cases})
    told, near = implicit(model, known.viewers, known.products, last)
    if near is None:
        return told
    row = {product: place for place, product in enumerate(last)}
    return _rated(cases, lambda seen: near[row[seen[-1]]].tolist())


def _left_out(views: Views) -> tuple[Views, list[Case]]:
    """All but the last of each, and the cases."""
    histories: dict[int, list[int]] = {}
    for viewer, product in zip(views.viewers.tolist(), views.products.tolist(), strict=True):
        histories.setdefault(viewer, []).append(product)
    cases = [(seen[:-1], seen[-1]) for seen in histories.values() if len(seen) > 1]
    last = np.full(int(views.viewers.max()) + 1, -1)
    last[views.viewers] = np.arange(views.viewers.size)
    is_known = np.ones(views.viewers.size, np.bool_)
    is_known[[last[viewer] for viewer, seen in histories.items() if len(seen) > 1]] = False
    return Views(views.viewers[is_known], views.products[is_known]), cases


def _index_of(views: Views, score: Score) -> Index:
    index = Index(score=score)
    for start in range(0, views.viewers.size, BATCH):
        here = slice(start, start + BATCH)
        index.add(packed(views.viewers[here], views.products[here]))
    for _ in index.watch_heavy():
        pass
    for product in index.hot:
        for _ in index.count_hot(product):
            pass
    return index


def _after_last(index: Index, seen: Sequence[int]) -> list[int]:
    return [product for product, _ in index.neighbours(seen[-1], DEEP)]


def _after_some(index: Index, seen: Sequence[int]) -> list[int]:
    recent = [(each, index.neighbours(each, DEEP)) for each in seen[: -RECENT - 1 : -1]]
    return [each.product for each in blended(recent, set(seen))]


def _rated(cases: Sequence[Case], found: Callable[[Sequence[int]], Sequence[int]]) -> Figures:
    ranks = [_rank(found(seen), set(seen), then) for seen, then in cases]
    hits = [rank for rank in ranks if rank]
    return {
        "asked_about": len(cases),
        f"HR@{LIMIT}": round(len(hits) / len(cases), 4),
        f"NDCG@{LIMIT}": round(sum(1 / log2(rank + 1) for rank in hits) / len(cases), 4),
        f"MRR@{LIMIT}": round(sum(1 / rank for rank in hits) / len(cases), 4),
    }


def _rank(found: Sequence[int], seen: set[int], then: int) -> int:
    """From 1; 0 where it is not among the first."""
    fresh = [product for product in found if product not in seen and product >= 0][:LIMIT]
    return fresh.index(then) + 1 if then in fresh else 0
