"""The shapes of answers over HTTP: `{"success": true, "data": ...}`, and what went wrong.

Sign-in and refresh are the exception: they answer flat (protocol/accounts.py).
"""

from typing import Generic, TypeVar

from msgspec import Struct

from protocol.codes import ErrorCode

T = TypeVar("T")


class Answer(Struct, Generic[T], frozen=True):
    data: T
    success: bool = True


class FieldError(Struct, frozen=True):
    """What is wrong with one field; `field` is its place, as in `items[3].stock`."""

    field: str
    code: ErrorCode
    message: str


class Failure(Struct, frozen=True, omit_defaults=True):
    """`detail` repeats the code for clients of the old service; `error` is for people.

    `errors` and `fields` say the same, in two shapes: some clients know the one, some the other.
    """

    success: bool
    code: ErrorCode
    detail: ErrorCode
    error: str
    retry_after_s: float | None = None
    fields: dict[str, str] = {}
    errors: tuple[FieldError, ...] = ()
