"""What is recommended: by who viewed what, and only what can be bought at that moment."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kefu.recommendations.blending import blended
from kefu.recommendations.messages import Recommendations
from kefu.storage.errors import StoreUnavailable
from tests.recommendations.shelves import id_of
from tests.recommendations.town import Town, viewer

VIEWS = {"anna": [1, 2, 3], "ben": [1, 2], "carl": [1, 3], "dora": [2, 1], "erik": [7]}


def numbers(found: Recommendations | None) -> list[int]:
    assert found is not None
    return [item.card.number for item in found.items]


async def similar(town: Town, number: int, limit: int = 6) -> Recommendations:
    found = await town.answers.similar(id_of(number), limit=limit)
    assert found is not None
    return found


async def test_what_others_viewed_too_comes_first_by_similarity(town: Town) -> None:
    await town.views(VIEWS)
    found = await similar(town, 1, limit=2)
    assert numbers(found) == [2, 3]
    assert [item.score for item in found.items] == [
        pytest.approx(3 / (4 * 3) ** 0.5),
        pytest.approx(2 / (4 * 2) ** 0.5),
    ]
    assert found.algorithm == "collaborative_filtering"


async def test_an_unknown_product_has_no_answer(town: Town) -> None:
    await town.views(VIEWS)
    assert await town.answers.similar(id_of(100), limit=6) is None
    town.shelves.delist(1)
    assert await town.answers.similar(id_of(1), limit=6) is None


async def test_what_is_sold_out_is_missing_from_the_very_next_answer(town: Town) -> None:
    await town.views(VIEWS)
    town.shelves.set_stock(2, 0)  # the index has not heard of it
    assert 2 not in numbers(await similar(town, 1))
    town.shelves.set_stock(2, 1)
    assert numbers(await similar(town, 1))[0] == 2
    town.shelves.delist(2)
    assert 2 not in numbers(await similar(town, 1))


async def test_a_product_that_is_sold_out_itself_still_has_neighbours(town: Town) -> None:
    await town.views(VIEWS)
    town.shelves.set_stock(1, 0)
    await town.availability.look()
    assert numbers(await similar(town, 1, limit=2)) == [2, 3]


async def test_more_is_asked_for_when_the_nearest_have_just_been_sold_out(town: Town) -> None:
    await town.views({"anna": list(range(60))})
    for number in range(1, 40):
        town.shelves.set_stock(number, 0)
    found = await similar(town, 0, limit=6)
    assert (numbers(found), found.algorithm) == (list(range(40, 46)), "collaborative_filtering")


async def test_empty_places_are_filled_from_the_category_and_then_from_the_shop(
    town: Town,
) -> None:
    town.shelves.put(50, 51, 52, 53, category="tea")
    town.shelves.put(60, 61, category="cups")
    await town.views(
        {
            "anna": [50, 51],
            "ben": [52, 60],
            "carl": [60, 61],
            "dora": [61, 60],
            "erik": [53, 52],
        }
    )
    found = await similar(town, 50, limit=5)
    assert numbers(found) == [51, 52, 53, 60, 61]
    assert [item.score for item in found.items] == [1.0, 0, 0, 0, 0]
    assert found.algorithm == "collaborative_filtering+popular"


async def test_a_product_nobody_has_viewed_is_answered_with_what_is_popular(town: Town) -> None:
    await town.views(VIEWS)
    found = await similar(town, 9, limit=3)
    assert (numbers(found), found.algorithm) == ([1, 2, 3], "popular")


async def test_in_an_empty_shop_nothing_is_recommended(town: Town) -> None:
    await town.catch_up()
    found = await similar(town, 1)
    assert (found.items, found.algorithm) == ((), "popular")


async def test_the_catalogue_away_is_told_and_not_answered_around(town: Town) -> None:
    await town.views(VIEWS)
    town.shelves.is_away = True
    with pytest.raises(StoreUnavailable):
        await town.answers.similar(id_of(1), limit=6)
    with pytest.raises(StoreUnavailable):
        await town.answers.for_viewer(viewer("anna"), limit=6)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from("abcdefgh"), st.lists(st.integers(0, 20), max_size=8), max_size=8
    ),
    st.sets(st.integers(0, 20), max_size=10),
    st.integers(1, 12),
)
async def test_never_itself_never_twice_never_what_cannot_be_bought(
    town: Town, views: dict[str, list[int]], sold_out: set[int], limit: int
) -> None:
    await town.redis.flushdb()
    await town.views(views)
    for number in range(21):
        town.shelves.set_stock(number, 0 if number in sold_out else 1)
    for product in range(0, 21, 5):
        found = numbers(await similar(town, product, limit))
        assert product not in found
        assert len(found) == len(set(found)) <= limit
        assert not sold_out & set(found)
    name = next(iter(views), "nobody")
    found = numbers(await town.answers.for_viewer(viewer(name), limit=limit))
    assert len(found) == len(set(found)) <= limit
    assert not (sold_out | set(town.index.history(viewer(name), 99))) & set(found)


# --- for a viewer ---------------------------------------------------------------------------------


async def test_for_a_viewer_the_latest_counts_most_and_says_why(town: Town) -> None:
    await town.views(
        {"anna": [1, 5], "ben": [1, 2], "carl": [5, 6], "dora": [1, 2], "erik": [5, 6]}
    )
    found = await town.answers.for_viewer(viewer("anna"), limit=2)
    assert numbers(found) == [6, 2]  # 5 was viewed after 1
    assert [item.because.number for item in found.items if item.because] == [5, 1]
    assert found.items[0].score == pytest.approx(2 * found.items[1].score)
    assert found.algorithm == "collaborative_filtering"


async def test_what_the_viewer_has_seen_is_not_recommended_again(town: Town) -> None:
    await town.views(VIEWS)
    found = await town.answers.for_viewer(viewer("ben"), limit=6)
    assert numbers(found) == [3, 7]
    assert [item.because is not None for item in found.items] == [True, False]
    assert found.algorithm == "collaborative_filtering+popular"


async def test_a_stranger_is_recommended_what_is_popular(town: Town) -> None:
    await town.views(VIEWS)
    found = await town.answers.for_viewer(viewer("nobody"), limit=3)
    assert (numbers(found), found.algorithm) == ([1, 2, 3], "popular")


async def test_only_the_last_five_speak_for_a_viewer(town: Town) -> None:
    await town.views({"anna": [1, 2, 3, 4, 5, 6], "ben": [1, 40], "carl": [2, 41]})
    found = await town.answers.for_viewer(viewer("anna"), limit=1)
    assert numbers(found) == [41]


async def test_what_a_viewer_looked_at_is_told_the_last_first(town: Town) -> None:
    await town.views(VIEWS)
    cards = await town.answers.viewed(viewer("anna"), limit=2)
    assert [card.number for card in cards] == [3, 2]
    town.shelves.set_stock(3, 0)
    cards = await town.answers.viewed(viewer("anna"), limit=2)
    assert [card.number for card in cards] == [2, 1]
    assert await town.answers.viewed(viewer("nobody"), limit=2) == ()


# --- before all views are read --------------------------------------------------------------------


async def test_an_instance_that_has_not_read_all_views_answers_what_others_published(
    town: Town,
) -> None:
    await town.views(VIEWS)
    for shard in range(16):
        await town.publisher.publish(shard)
    expected = numbers(await similar(town, 1, limit=2))
    town.shelf.stock = None
    found = await similar(town, 1, limit=2)
    assert (numbers(found), found.algorithm) == (expected, "collaborative_filtering")
    town.shelves.set_stock(2, 0)
    assert numbers(await similar(town, 1, limit=2)) == [3]
    assert numbers(await similar(town, 9)) == []
    assert await town.answers.viewed(viewer("anna"), limit=2) == ()


async def test_a_part_of_the_views_is_better_than_nothing(town: Town) -> None:
    await town.views(VIEWS)
    town.follower.has_caught_up = False  # and nothing was published
    assert numbers(await similar(town, 1, limit=2)) == [2, 3]


async def test_before_the_index_is_loaded_there_are_no_neighbours_and_no_failure(
    town: Town,
) -> None:
    town.shelf.stock = None
    assert (await similar(town, 1)).items == ()
    assert (await town.answers.for_viewer(viewer("anna"), limit=6)).items == ()


async def test_answers_are_timed(town: Town) -> None:
    await town.views(VIEWS)
    await similar(town, 1)
    await town.answers.for_viewer(viewer("anna"), limit=6)
    for kind in ("similar", "for_viewer"):
        assert town.counted("kefu_recommendation_seconds_count", kind=kind) == 1


# --- blending -------------------------------------------------------------------------------------


def test_blending_weighs_by_half_for_each_step_back() -> None:
    found = blended([(1, [(9, 1.0), (8, 0.5)]), (2, [(8, 1.0), (7, 1.0), (1, 1.0)])], {1, 2})
    assert [(each.product, round(each.score, 6), each.because) for each in found] == [
        (8, 0.666667, 1),
        (9, 0.666667, 1),
        (7, 0.333333, 2),
    ]


def test_nothing_viewed_blends_to_nothing() -> None:
    assert blended([], set()) == []
