"""The rules of the tree, against a model that knows parents alone and counts levels by walking."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kefu.catalogue.state import (
    Category,
    Refusal,
    below,
    depth_below,
    forest,
    free_slug,
    moved,
    nodes,
)
from protocol.catalogue import CategoryNode

IDS = [UUID(int=number) for number in range(1, 9)]
STRANGER = UUID(int=99)
Parents = dict[UUID, UUID | None]


def levels_above(parents: Parents, id: UUID) -> int:
    """Three is one too many, or a cycle."""
    parent, count = parents[id], 0
    while parent is not None and count < 3:
        parent, count = parents[parent], count + 1
    return count


def is_right(parents: Parents) -> bool:
    return all(levels_above(parents, id) < 3 for id in parents)


def category(parents: Parents, id: UUID, depth: int | None = None) -> Category:
    depth = levels_above(parents, id) if depth is None else depth
    return Category(id, f"n{id.int}", f"s{id.int}", parents[id], sort_order=0, depth=depth)


STEPS = st.lists(
    st.tuples(st.sampled_from(IDS), st.none() | st.sampled_from([*IDS, STRANGER])), max_size=40
)


@given(STEPS)
def test_whatever_is_made_and_moved_the_tree_is_as_walking_it_says(
    steps: list[tuple[UUID, UUID | None]],
) -> None:
    parents: Parents = dict.fromkeys(IDS[:6])  # with so many there, most moves are thinkable
    tree = {id: category(parents, id) for id in parents}
    for id, parent_id in steps:
        wanted = {**parents, id: parent_id}
        is_known = parent_id is None or (parent_id in parents)
        if id in parents:
            decided = moved(tree, id, parent_id)
            is_refused = isinstance(decided, Refusal)
            written = () if isinstance(decided, Refusal) else decided
        else:
            depth = depth_below(tree, parent_id)
            is_refused = isinstance(depth, Refusal)
            written = () if isinstance(depth, Refusal) else (category(wanted, id, depth),)
        assert is_refused is not (is_known and is_right(wanted))
        if not is_refused:
            parents = wanted
            tree |= {each.id: each for each in written}
    assert tree == {id: category(parents, id) for id in parents}


def chain(*depths: int) -> dict[UUID, Category]:
    """Each below the one before."""
    pairs = zip(IDS, depths, strict=False)
    made = [Category(id, "n", f"s{id.int}", None, sort_order=0, depth=depth) for id, depth in pairs]
    above = [None, *IDS]
    return {
        each.id: Category(each.id, each.name, each.slug, parent, each.sort_order, each.depth)
        for each, parent in zip(made, above, strict=False)
    }


def test_each_refusal_has_its_reason() -> None:
    tree = chain(0, 1, 2)
    first, second, third = IDS[:3]
    assert depth_below(tree, STRANGER) is Refusal.UNKNOWN_PARENT
    assert depth_below(tree, third) is Refusal.TOO_DEEP
    assert moved(tree, first, first) is Refusal.BELOW_ITSELF
    assert moved(tree, first, third) is Refusal.BELOW_ITSELF
    assert moved(tree, second, STRANGER) is Refusal.UNKNOWN_PARENT
    other = Category(IDS[5], "o", "o", None, sort_order=0, depth=0)
    assert moved(tree | {other.id: other}, first, other.id) is Refusal.TOO_DEEP


def test_a_move_names_the_moved_first_and_leaves_the_others_out() -> None:
    tree = chain(0, 1, 2)
    written = moved(tree, IDS[1], None)
    assert not isinstance(written, Refusal)
    assert [(each.id, each.depth) for each in written] == [(IDS[1], 0), (IDS[2], 1)]
    assert [each.id for each in below(tree, IDS[1])] == [IDS[1], IDS[2]]


def count(trees: tuple[CategoryNode, ...]) -> int:
    return sum(1 + count(each.children) for each in trees)


def test_a_forest_has_every_category_once_and_keeps_the_order_of_siblings() -> None:
    parents: Parents = {IDS[0]: None, IDS[1]: None, IDS[2]: IDS[0], IDS[3]: IDS[0]}
    tree = {id: category(parents, id) for id in (IDS[1], IDS[3], IDS[0], IDS[2])}
    grown = forest(tree)
    assert [each.id for each in grown] == [IDS[1], IDS[0]]
    assert [each.id for each in grown[1].children] == [IDS[3], IDS[2]]
    assert count(grown) == 4
    assert nodes(tree, [IDS[0]]) == (grown[1],)


SLUGS = st.text("ab-", max_size=4) | st.just("a" * 120) | st.just("a" * 98 + "-b")


@given(st.lists(SLUGS, max_size=12))
def test_a_free_slug_is_free_short_and_an_address(wanted: list[str]) -> None:
    taken: set[str] = set()
    for each in wanted:
        slug = free_slug(each.strip("-"), taken)
        assert slug not in taken
        assert 0 < len(slug) <= 100
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        taken.add(slug)


def test_a_taken_slug_gets_the_next_number_within_its_length() -> None:
    long = "a" * 100
    assert free_slug("a", {"a", "a-2"}) == "a-3"
    assert free_slug(long, {long}) == "a" * 98 + "-2"
    assert free_slug("", set()) == "category"
    assert free_slug("", {"category"}) == "category-2"
    assert free_slug("a" * 97 + "-bb", {"a" * 97 + "-bb"}) == "a" * 97 + "-2"
