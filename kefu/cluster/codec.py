"""Actors' messages and answers as bytes, so that they can leave the process.

Messages are plain structs without a tag; their type's name travels beside them. What an answer may
be is read from the message's own `Request[...]`.
"""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from actors import Request

_encode = msgspec.msgpack.Encoder().encode
OTHER = ""  # the name of an answer that is no struct


class UnknownMessage(Exception):
    """A message this version does not know; the other side is newer or older."""


class Codec:
    """`kinds` maps each kind of actor to the union of all that may be said to it."""

    def __init__(self, kinds: Mapping[str, Any]) -> None:
        self._types = {kind: _by_name(union) for kind, union in kinds.items()}
        self._answers: dict[type, Any] = {
            message: _answer_of(message)
            for types in self._types.values()
            for message in types.values()
        }

    def message(self, message: object) -> tuple[str, bytes]:
        """Its name and its bytes."""
        return type(message).__name__, _encode(message)

    def read_message(self, kind: str, name: str, body: bytes) -> object:
        """Raises UnknownMessage."""
        found = self._types.get(kind, {}).get(name)
        if found is None:
            raise UnknownMessage(f"{kind}: {name}")
        try:
            return msgspec.msgpack.decode(body, type=found)
        except msgspec.MsgspecError as error:
            raise UnknownMessage(f"{kind}: {name} is of another shape") from error

    def answer(self, value: object) -> tuple[str, bytes]:
        name = type(value).__name__ if isinstance(value, Struct) else OTHER
        return name, _encode(value)

    def read_answer(self, message: object, name: str, body: bytes) -> object:
        """The answer to `message`. Raises UnknownMessage."""
        declared = self._answers[type(message)]
        structs = {each.__name__: each for each in _members(declared) if _is_struct(each)}
        wanted = _without_structs(declared) if name == OTHER else structs.get(name)
        if wanted is None:
            raise UnknownMessage(f"answer {name} to {type(message).__name__}")
        try:
            return msgspec.msgpack.decode(body, type=wanted)
        except msgspec.MsgspecError as error:
            raise UnknownMessage(f"answer {name} is of another shape") from error


def _by_name(union: Any) -> dict[str, type]:
    return {each.__name__: each for each in _members(union)}


def _members(kind: Any) -> Iterator[Any]:
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        for each in get_args(kind):
            yield from _members(each)
    else:
        yield kind


def _answer_of(message: type) -> Any:
    """The R of its Request[R]; nothing for what is only told."""
    for base in getattr(message, "__orig_bases__", ()):
        if get_origin(base) is Request:
            (declared,) = get_args(base)
            return declared
    return None


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _without_structs(declared: Any) -> Any:
    plain = [each for each in _members(declared) if not _is_struct(each)]
    if not plain:
        return type(None)
    return Union[(*plain, type(None))]  # built at run time
