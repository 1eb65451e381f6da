"""What writes of categories and of products have in common."""

from collections.abc import Container, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from kefu.errors import Problem
from protocol.codes import ERRORS, ErrorCode

NO_CATEGORY: Final = ERRORS[ErrorCode.CATEGORY_NOT_FOUND].sentence
NO_PRODUCT: Final = ERRORS[ErrorCode.PRODUCT_NOT_FOUND].sentence
TWICE: Final = "This id is named twice."


def differing(
    before: Struct | None, after: Struct | None, names: Sequence[str]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Those of the fields in which the two differ, as the audit log has them."""
    old, new = (None if each is None else msgspec.to_builtins(each) for each in (before, after))
    told = [name for name in names if old is None or new is None or old[name] != new[name]]
    first, second = (
        None if each is None else {name: each[name] for name in told} for each in (old, new)
    )
    return first, second


def require_each_once(ids: Sequence[UUID], known: Container[UUID], unknown: str) -> None:
    """Raises `Problem(UNPROCESSABLE)` with every item that is wrong."""
    seen: set[UUID] = set()
    wrong: dict[str, str] = {}
    for place, id in enumerate(ids):
        if id in seen or id not in known:
            wrong[f"items[{place}].id"] = TWICE if id in seen else unknown
        seen.add(id)
    if wrong:
        raise Problem(ErrorCode.UNPROCESSABLE, next(iter(wrong.values())), fields=wrong)
