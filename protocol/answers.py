"""The shape of every good answer over HTTP: `{"success": true, "data": ...}`.

Sign-in and refresh are the exception: they answer flat (protocol/accounts.py).
"""

from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Answer(Struct, Generic[T], frozen=True):
    data: T
    success: bool = True
