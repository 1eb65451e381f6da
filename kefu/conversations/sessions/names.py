"""The name of a session: what clients of the facade know a customer's conversation by. Pure.

It is the shop's own name for the customer (the `sub` of their token) wherever that can stand in an
address. Guests, and subs with other characters, go by `id:` and the customer's id instead.
"""

import re
from typing import Final
from uuid import UUID

from protocol.facade import NAME, NAME_CHARS, RESERVED_NAMES

_NAME: Final = re.compile(NAME.removesuffix("$"), re.ASCII)
_BY_ID: Final = "id:"


def is_name(text: str) -> bool:
    """Whether a session may be called that."""
    is_short = len(text) <= NAME_CHARS and text not in RESERVED_NAMES
    return is_short and _NAME.fullmatch(text) is not None


def name_of(customer_id: UUID, sub: str, *, is_guest: bool) -> str:
    """The name of the customer's session."""
    if is_guest or not is_name(sub) or id_in(sub) is not None:
        return f"{_BY_ID}{customer_id}"
    return sub


def id_in(name: str) -> UUID | None:
    """The customer's id that a name may stand for: it does where there is such a customer."""
    if not name.startswith(_BY_ID):
        return None
    text = name.removeprefix(_BY_ID)
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
