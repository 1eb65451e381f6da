"""What a batch of rows comes to, given the products and categories that are there.

A row means the product with its id or its key, and says only what it says: the rest of that product
stays. Without an id or key it is a new product each time the file is taken in.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from kefu.catalogue.intake import Row, identities
from kefu.catalogue.products import FULL, ID_TAKEN, KEY_TAKEN
from kefu.catalogue.store import Known
from kefu.catalogue.writing import NO_CATEGORY
from protocol.catalogue import ImportedProduct, Product
from protocol.imports import ImportProblem

INCOMPLETE: Final = "A new product needs a name and a price."
_PLAIN: Final = tuple(
    name for name in ImportedProduct.__struct_fields__ if name not in ("category", "category_id")
)


class Plan(Struct, frozen=True):
    """What is written, by the place of its row, and what is wrong."""

    made: dict[int, Product]
    changed: dict[int, Product]
    problems: list[ImportProblem]


class Meant(Struct, frozen=True):
    """What a row says, and of which product; None: of a new one."""

    product: Product | None
    fields: dict[str, Any]


def planned(
    rows: Sequence[Row],
    *,
    known: Sequence[Known],
    categories: Mapping[str, UUID],
    places_left: int,
    make: Callable[[Mapping[str, Any]], Product],
    touch: Callable[[Product], Product],
) -> Plan:
    """`categories` is by slug and by id; `touch` dates a product that has changed."""
    plan = Plan({}, {}, [])
    named: dict[tuple[str, object], Known] = {("id", each.product.id): each for each in known}
    named |= {("key", each.product.key): each for each in known if not each.is_deleted}
    lines: dict[UUID, int] = {}
    for place, row in enumerate(rows):
        meant = _meant(row, named, categories)
        wrong = meant if isinstance(meant, str) else _objection(meant, lines)
        if isinstance(meant, str) or wrong is not None:
            plan.problems.append(ImportProblem(row.line, wrong or ""))
        elif meant.product is not None:
            lines[meant.product.id] = row.line
            after = replace(meant.product, **meant.fields)
            if after != meant.product:
                plan.changed[place] = touch(after)
        elif len(plan.made) < places_left:
            plan.made[place] = make(meant.fields)
        else:
            plan.problems.append(ImportProblem(row.line, FULL))
    return plan


def _meant(
    row: Row, named: Mapping[tuple[str, object], Known], categories: Mapping[str, UUID]
) -> Meant | str:
    """Or what is wrong with what it names."""
    names = identities(row.product)
    found = {each.product.id: each for name in names if (each := named.get(name)) is not None}
    if len(found) > 1:
        return KEY_TAKEN
    known = next(iter(found.values()), None)
    if known is not None and known.is_deleted:
        return ID_TAKEN
    if known is not None and row.product.id not in (UNSET, known.product.id):
        return KEY_TAKEN
    fields = _fields(row.product, categories)
    if isinstance(fields, str):
        return fields
    return Meant(None if known is None else known.product, fields)


def _objection(meant: Meant, lines: Mapping[UUID, int]) -> str | None:
    if meant.product is None:
        return None if {"name", "price"} <= set(meant.fields) else INCOMPLETE
    line = lines.get(meant.product.id)
    return None if line is None else f"The same product as line {line}."


def _fields(product: ImportedProduct, categories: Mapping[str, UUID]) -> dict[str, Any] | str:
    """With the category that is meant; or that there is none."""
    asked = msgspec.structs.asdict(product)
    fields = {name: asked[name] for name in _PLAIN if asked[name] is not UNSET}
    category = product.category if product.category is not UNSET else product.category_id
    if category is UNSET:
        return fields
    if category is None:
        return {**fields, "category_id": None}
    if str(category) not in categories:
        return NO_CATEGORY
    return {**fields, "category_id": categories[str(category)]}
