"""When a provider is asked again, and when: only before the first piece, and not for everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.bot import texts
from kefu.bot.ports import BadCredentials, LostConversation, Rejected, Transient
from kefu.bot.retries import pause_s
from tests.bot.parts import ask
from tests.bot.player import player, stand


async def test_before_the_first_piece_it_is_tried_three_times_with_growing_pauses() -> None:
    scene = stand([Transient("busy")], [Transient("busy")], ["好"])
    assert (await ask(scene.bot)).answer.outcome == "answered"
    first, second = scene.naps.taken
    assert 1 <= first <= 1.5
    assert 2 <= second <= 3
    assert scene.figures.retry_count == 2


async def test_three_failures_are_enough() -> None:
    scene = stand([Transient("busy")])
    heard = await ask(scene.bot, locale="en")
    assert heard.pieces == []
    assert (heard.answer.text, heard.answer.outcome) == (texts.FAILED["en"], "failed")
    assert len(player(scene).asked) == 3
    assert scene.phase == "closed"
    assert scene.shelf.asked == []


@pytest.mark.parametrize("failure", [Rejected("4000"), BadCredentials("401")])
async def test_what_would_fail_the_same_way_is_not_tried_again(failure: Exception) -> None:
    scene = stand([failure])
    assert (await ask(scene.bot)).answer.outcome == "failed"
    assert len(player(scene).asked) == 1


async def test_a_provider_that_names_its_time_is_asked_then() -> None:
    scene = stand([Transient("429", retry_after_s=7.0)], ["好"])
    assert (await ask(scene.bot)).answer.outcome == "answered"
    assert 7 <= scene.naps.taken[0] <= 7.5


async def test_a_time_behind_the_turns_end_is_not_waited_for() -> None:
    scene = stand([Transient("429", retry_after_s=61.0)], ["好"])
    assert (await ask(scene.bot)).answer.outcome == "failed"
    assert scene.naps.taken == []


@given(
    st.integers(1, 10),
    st.floats(0, 1),
    st.none() | st.floats(0, 200),
    st.floats(-10, 100),
)
def test_a_pause_is_never_too_short_too_long_or_behind_the_end(
    tries: int, chance: float, retry_after_s: float | None, remaining_s: float
) -> None:
    pause = pause_s(Transient("x", retry_after_s=retry_after_s), tries, chance, remaining_s)
    if pause is not None:
        assert pause < remaining_s
        least = 1.0 if retry_after_s is None else retry_after_s
        assert least <= pause <= max(10.0, least + 0.5)
    assert pause_s(Rejected("x"), tries, chance, remaining_s) is None


async def test_a_lost_conversation_is_replaced_once_and_at_once() -> None:
    scene = stand([LostConversation("4002")], ["好"])
    assert (await ask(scene.bot)).answer.outcome == "answered"
    first, second = player(scene).asked
    assert (first.conversation_id, first.is_new) == ("customer-1/0", False)
    assert (second.conversation_id, second.is_new) == ("customer-1/1", True)
    assert scene.naps.taken == []
    scene = stand([LostConversation("4002")])
    assert (await ask(scene.bot)).answer.outcome == "failed"
    assert len(player(scene).asked) == 2


async def test_a_conversation_that_cannot_be_made_is_tried_again_too() -> None:
    scene = stand(["好"])
    player(scene).broken = Transient("busy")
    assert (await ask(scene.bot)).answer.outcome == "failed"
    assert len(scene.naps.taken) == 2
    assert player(scene).asked == []
