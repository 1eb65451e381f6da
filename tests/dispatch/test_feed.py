"""The workbench's list is resumed exactly: what a listener put together is what is there."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.dispatch.feed import REMEMBERED, Feed
from tests.dispatch.board import MODE, STEP, Stage
from tests.fakes.shop import Shop, play


@settings(max_examples=150, deadline=None)
@given(mode=MODE, steps=st.lists(STEP, min_size=10, max_size=40), seed=st.integers(0, 2**32))
def test_snapshot_and_updates_make_the_fresh_snapshot(
    mode: Any, steps: list[Any], seed: int
) -> None:
    async def scene(shop: Shop) -> None:
        shop.mode = mode
        stage = Stage(shop)
        await stage.open()
        for step in steps:
            await stage.perform(step)
            await stage.check()
        await stage.fickle.subscribe()
        await stage.check()
        assert stage.fickle.board.offers.keys() == stage.fresh.offers.keys()
        assert set(shop.stranded) <= {0}

    assert {str(error) for error in play(scene, seed).crashes} <= {"a bug"}


def test_only_what_is_remembered_is_resumed() -> None:
    feed = Feed("f")
    frames: list[Any] = []
    for _ in range(REMEMBERED + 5):
        feed.next_seq()
        frames.append(object())
        feed.remember(frames[-1])
    head = REMEMBERED + 5
    assert feed.since("f", head) == []
    assert feed.since("f", head - 1) == frames[-1:]
    assert feed.since("f", 5) == frames[5:]
    assert feed.since("f", 4) is None
    assert feed.since("f", head + 1) is None
    assert feed.since("g", head) is None
    assert feed.since("f", None) is None
    assert feed.since(None, None) is None
