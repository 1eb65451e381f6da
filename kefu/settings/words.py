"""What a setting takes, in words: for the line that stops a start and for docs/settings.md."""

from pathlib import Path
from typing import Any

from msgspec import inspect

from kefu.secret import SecretUrl


def accepts(kind: Any) -> str:
    """A sentence's end: "it takes ..." for an annotated type of `Settings`."""
    return _words(inspect.type_info(kind))


def is_list(kind: Any) -> bool:
    """Whether the setting takes several values, written with commas."""
    return isinstance(_bare(inspect.type_info(kind)), inspect.VarTupleType)


def _bare(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        (only,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
        return _bare(only)
    return kind


def _words(kind: inspect.Type) -> str:
    match _bare(kind):
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low} to {high}"
        case inspect.LiteralType(values=values):
            return " or ".join(map(str, values))
        case inspect.VarTupleType(max_length=int(most)):
            return f"a list of at most {most}, with commas between"
        case inspect.VarTupleType():
            return "a list, with commas between"
        case inspect.StrType(min_length=int(shortest), max_length=int(longest)):
            return f"text of {shortest} to {longest} characters"
        case inspect.StrType(max_length=int(longest)):
            return f"text of at most {longest} characters"
        case inspect.CustomType(cls=cls) if issubclass(cls, Path):
            return "a path"
        case inspect.CustomType(cls=cls) if issubclass(cls, SecretUrl):
            return "an address"
    return "text"
