"""The rules of the tree of categories, decided without clock, chance or database.

Three levels, no cycles. A depth is kept with each category, so that whatever moves takes all that
is below it along to its new depth, or does not move at all.
"""

from collections.abc import Container, Iterable, Mapping
from enum import Enum
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from protocol.catalogue import LEVELS, SLUG_CHARS, CategoryNode

NAMELESS: Final = "category"


class Category(Struct, frozen=True):
    id: UUID
    name: str
    slug: str
    parent_id: UUID | None
    sort_order: int
    depth: int


class Refusal(Enum):
    """Why a category may not stand there."""

    UNKNOWN_PARENT = "There is no such category to put it below."
    BELOW_ITSELF = "A category cannot be put below itself."
    TOO_DEEP = f"There can be {LEVELS} levels of categories."


Categories: TypeAlias = Mapping[UUID, Category]


def depth_below(categories: Categories, parent_id: UUID | None) -> int | Refusal:
    """How deep a category without any below it would stand there."""
    if parent_id is None:
        return 0
    if parent_id not in categories:
        return Refusal.UNKNOWN_PARENT
    depth = categories[parent_id].depth + 1
    return depth if depth < LEVELS else Refusal.TOO_DEEP


def moved(
    categories: Categories, id: UUID, parent_id: UUID | None
) -> tuple[Category, ...] | Refusal:
    """The category below its new parent, and after it all that is below it at its new depth."""
    subtree = below(categories, id)
    if any(each.id == parent_id for each in subtree):
        return Refusal.BELOW_ITSELF
    depth = depth_below(categories, parent_id)
    if isinstance(depth, Refusal):
        return depth
    step = depth - categories[id].depth
    if max(each.depth for each in subtree) + step >= LEVELS:
        return Refusal.TOO_DEEP
    top, *others = subtree
    return (
        replace(top, parent_id=parent_id, depth=depth),
        *(replace(each, depth=each.depth + step) for each in others),
    )


def below(categories: Categories, id: UUID) -> list[Category]:
    """The category itself, then all below it, level by level."""
    children = _children(categories.values())
    found = [categories[id]]
    for each in found:  # it grows while it is walked
        found += children.get(each.id, ())
    return found


def forest(categories: Categories) -> tuple[CategoryNode, ...]:
    """All of them as trees; siblings stay in the order in which they come."""
    children = _children(categories.values())
    return tuple(_node(each, children) for each in children.get(None, ()))


def nodes(categories: Categories, ids: Iterable[UUID]) -> tuple[CategoryNode, ...]:
    """Those of the ids, each with all that is below it."""
    children = _children(categories.values())
    return tuple(_node(categories[id], children) for id in ids)


def free_slug(wanted: str, taken: Container[str]) -> str:
    """The slug, or the first of wanted-2, wanted-3 ... that is free; never longer than allowed."""
    slug, number = wanted[:SLUG_CHARS].rstrip("-") or NAMELESS, 1
    while slug in taken:
        number += 1
        suffix = f"-{number}"
        slug = (wanted or NAMELESS)[: SLUG_CHARS - len(suffix)].rstrip("-") + suffix
    return slug


def _children(categories: Iterable[Category]) -> dict[UUID | None, list[Category]]:
    children: dict[UUID | None, list[Category]] = {}
    for each in categories:
        children.setdefault(each.parent_id, []).append(each)
    return children


def _node(category: Category, children: Mapping[UUID | None, list[Category]]) -> CategoryNode:
    return CategoryNode(
        id=category.id,
        name=category.name,
        slug=category.slug,
        parent_id=category.parent_id,
        sort_order=category.sort_order,
        depth=category.depth,
        children=tuple(_node(each, children) for each in children.get(category.id, ())),
    )
