"""The index against the formula: whatever comes in, in whatever order, compacted at any point."""

import os
from uuid import UUID

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kefu.recommendations.counting import index as index_module
from kefu.recommendations.counting.compaction import compacted
from kefu.recommendations.counting.index import Index
from kefu.recommendations.counting.numbering import Numbering
from kefu.recommendations.messages import View
from kefu.recommendations.views import packed
from tests.recommendations.oracle import Oracle, assert_same

VIEWERS = [UUID(int=(number * 7919) << 70 | number) for number in range(12)]
GUESTS = VIEWERS[:4]
PRODUCTS = 15
LIMIT = 6

viewers = st.sampled_from(VIEWERS)
products = st.integers(0, PRODUCTS - 1)
batches = st.lists(st.tuples(viewers, products), min_size=1, max_size=30)


def views(pairs: list[tuple[UUID, int]]) -> np.ndarray:
    return packed(View(viewer, product, 1) for viewer, product in pairs)


def compact(index: Index) -> None:
    """As the keeper does it, but in memory."""
    postings = compacted(index.postings, index.cut())
    index.replace(postings, np.diff(postings.product_start).astype(np.int32))


class Histories(RuleBasedStateMachine):
    """`bound` is small, so that many products are hot."""

    def __init__(self) -> None:
        super().__init__()
        self.index, self.oracle = Index(), Oracle()
        self.is_sellable = dict.fromkeys(range(PRODUCTS), True)

    @rule(batch=batches)
    def view(self, batch: list[tuple[UUID, int]]) -> None:
        self.index.add(views(batch))
        for viewer, product in batch:
            self.oracle.view(viewer, product)

    @rule(guest=st.sampled_from(GUESTS), customer=st.sampled_from(VIEWERS[4:]))
    def join(self, guest: UUID, customer: UUID) -> None:
        self.index.join(guest, customer)
        self.oracle.join(guest, customer)

    @rule(guest=st.sampled_from(GUESTS[:2]), other=st.sampled_from(GUESTS[2:]))
    def chat(self, guest: UUID, other: UUID) -> None:
        self.index.join(guest, other, is_guest=True)
        self.oracle.join(guest, other, is_guest=True)

    @rule(product=products, is_sellable=st.booleans())
    def sell(self, product: int, is_sellable: bool) -> None:
        self.is_sellable[product] = is_sellable
        self.index.set_products(np.array([product]), np.array([is_sellable]), np.array([1]))

    @rule(meanwhile=batches)
    def compaction(self, meanwhile: list[tuple[UUID, int]]) -> None:
        cut = self.index.cut()
        self.view(meanwhile)
        postings = compacted(self.index.postings, cut)
        self.index.replace(postings, np.diff(postings.product_start).astype(np.int32))

    @rule(guest=st.sampled_from(GUESTS), customer=st.sampled_from(VIEWERS[4:]))
    def compaction_with_a_join(self, guest: UUID, customer: UUID) -> None:
        cut = self.index.cut()
        self.join(guest, customer)
        postings = compacted(self.index.postings, cut)
        self.index.replace(postings, np.diff(postings.product_start).astype(np.int32))

    @rule(product=products, meanwhile=batches)
    def watch(self, product: int, meanwhile: list[tuple[UUID, int]]) -> None:
        if self.index.viewer_count(product):
            self.index.watch(product)
            for step, _ in enumerate(self.index.count_hot(product)):
                if step == 0:
                    self.view(meanwhile)

    @rule()
    def restart(self) -> None:
        """From the postings and the ids, as a snapshot keeps them."""
        compact(self.index)
        numbering = Numbering(*(each.copy() for each in self.index._numbering.ids()))
        self.index = Index(self.index.postings, numbering)
        numbers = np.arange(PRODUCTS)
        flags = np.array([self.is_sellable[each] for each in range(PRODUCTS)])
        self.index.set_products(numbers, flags, np.ones(PRODUCTS, np.int32))

    @invariant()
    def scores_are_the_formulas(self) -> None:
        for product in range(PRODUCTS):
            hot = self.index.hot.get(product)
            if hot is None:
                scores = self.oracle.scores(product, self.is_sellable.__getitem__)
                assert_same(self.index.neighbours(product, LIMIT), scores, LIMIT)
            elif hot.products is not None:
                self.check_hot(product)

    def check_hot(self, product: int) -> None:
        """Those that were counted have the scores they have now; with a new count all are there."""
        scores = self.oracle.scores(product, self.is_sellable.__getitem__)
        for other, score in self.index.neighbours(product, PRODUCTS):
            assert scores[other] == score
        for _ in self.index.count_hot(product):
            pass
        assert_same(self.index.neighbours(product, LIMIT), scores, LIMIT)

    @invariant()
    def histories_and_counts_are_right(self) -> None:
        for viewer in VIEWERS:
            found = self.index.history(viewer, PRODUCTS)
            assert len(found) == len(set(found))
            assert set(found) == self.oracle.history(viewer)
        for product in range(PRODUCTS):
            assert self.index.viewer_count(product) == self.oracle.viewer_count(product)


Histories.TestCase.settings = settings(
    max_examples=int(os.environ.get("KEFU_HISTORIES", "10")), stateful_step_count=25, deadline=None
)
test_whatever_happens_the_scores_are_the_formulas = Histories.TestCase


def test_the_last_view_comes_first_across_a_compaction() -> None:
    index = Index()
    index.add(views([(VIEWERS[0], 3), (VIEWERS[0], 1)]))
    compact(index)
    index.add(views([(VIEWERS[0], 2), (VIEWERS[0], 1)]))
    assert index.history(VIEWERS[0], 10) == [2, 1, 3]


def test_a_viewer_beyond_the_limit_is_counted_no_more() -> None:
    index = Index(history_limit=3)
    assert index.add(views([(VIEWERS[0], number) for number in range(10)])) == 3
    assert index.history(VIEWERS[0], 10) == [2, 1, 0]
    assert index.is_full(VIEWERS[0])


def test_whoever_signs_in_second_gets_nothing_of_the_first() -> None:
    index, (session, guest, anna, ben) = Index(), VIEWERS[:4]
    index.add(views([(session, 1)]))
    index.join(session, guest, is_guest=True)
    index.join(session, anna)
    index.add(views([(session, 2), (anna, 3)]))
    index.join(session, ben)
    index.join(guest, ben)
    index.add(views([(guest, 4)]))
    assert index.history(anna, 9) == [4, 3, 2, 1]
    assert index.history(ben, 9) == []


def test_what_most_have_viewed_comes_first_and_only_if_it_can_be_bought() -> None:
    index = Index()
    index.add(views([(each, 7) for each in VIEWERS] + [(each, 2) for each in VIEWERS[:5]]))
    index.add(views([(VIEWERS[0], 4)]))
    assert index.popular(2) == [7, 2]
    index.set_products(np.array([7, 4]), np.array([False, True]), np.array([1, 1]))
    assert index.popular(3) == [2, 4]
    assert index.popular(3, category=1) == [4]
    assert index.popular(3, category=5) == []


def test_products_with_new_viewers_are_told_once() -> None:
    index = Index()
    index.add(views([(VIEWERS[0], 3), (VIEWERS[0], 1), (VIEWERS[1], 3)]))
    assert index.take_changed(1) == [3]
    assert index.take_changed(10) == [1]
    index.add(views([(VIEWERS[0], 3)]))
    assert index.take_changed(10) == []


def test_a_much_viewed_product_is_answered_from_a_sample_and_then_exactly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_module, "INLINE_VIEWERS", 20)
    monkeypatch.setattr(index_module, "SAMPLED_VIEWERS", 10)
    index, oracle = Index(), Oracle()
    rng = np.random.default_rng(3)
    for number in range(60):
        for product in (0, *rng.choice(range(1, 30), 4, replace=False).tolist()):
            index.add(views([(UUID(int=number), product)]))
            oracle.view(UUID(int=number), product)
    assert len(index.neighbours(0, 5)) == 5
    assert list(index.hot) == [0]
    for _ in index.count_hot(0):
        pass
    assert_same(index.neighbours(0, 5), oracle.scores(0, lambda _: True), 5)


def test_views_of_impossible_products_are_left_out() -> None:
    index = Index()
    assert index.add(views([(VIEWERS[0], 2**32 - 1), (VIEWERS[0], 1)])) == 1
    assert index.add(views([])) == 0
    assert index.neighbours(10**9, 5) == []
