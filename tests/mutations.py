"""Frames that were good and are no longer: every type of the protocol, damaged by a seed.

Half of the damage is done to the tree (wrong types, missing and foreign fields, numbers and texts
beyond all bounds), half to the bytes (flipped, cut, doubled, spliced, no UTF-8, endless nesting).
Some of it leaves a good frame; that is meant.
"""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any, Final, get_args
from uuid import UUID

import msgspec
from msgspec import inspect

from protocol.wire import Reader, Rejection

POOL_PER_TYPE: Final = 20
WORDS: Final = ("您好", "hello", "🦊" * 3, "a" * 40, " ", "order 7", "é\u202e", "0")
ODD_TEXTS: Final = (
    *("", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\ufeff", "\U0010ffff", "null", "-1"),
    *("x" * 65, "x" * 4001, "字" * 4000, "00000000-0000-0000-0000-000000000000", "🦊" * 2001),
)
ODD_NUMBERS: Final = (
    *(0, -1, 1, 6, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    *(0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf")),
)
ODD_BYTES: Final = (
    *(b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf"),
    *(b"{", b"}", b"[", b'"', b"\\u", b"\\ud800", b"\\ud83d\\u0041", b"1e999", b"9" * 400),
    *(b"\x1f", b"/*", b",", b":", b"\xe2\x80\xa8", b"null", b"-"),
)
# Lists, maps, texts, bytes and extensions of MessagePack that claim to be as large as can be.
CLAIMS: Final = (
    *(b"\xdd\x7f\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc1"),
    *(b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\xd6\xff\x00\x00\x00\x00"),
)
Tree = Any
_type_info = cache(inspect.type_info)


class Mutations:
    """Of the frames one reader takes. `ids` stand where a frame names somebody or something."""

    def __init__(self, reader: Reader[Any], union: Any, ids: Sequence[UUID], seed: str) -> None:
        self.random = Random(seed)
        self._ids = ids
        self._reader = reader
        self._kinds = get_args(union)
        self._trees = [self._good(kind) for kind in self._kinds * POOL_PER_TYPE]
        self._by_bytes: tuple[Callable[[bytes], bytes], ...] = (
            *(self._flip, self._flip, self._cut, self._drop, self._double, self._overwrite),
            *(self._splice, lambda data: data + data, self._insert),
        )
        self._by_tree: tuple[Callable[[Tree], None], ...] = (
            *(self._vary, self._vary, self._vary, self._vary, self._confuse, self._confuse),
            *(self._lose, self._retype, self._swap, self._wrap, self._add),
        )

    def next(self, *, is_binary: bool) -> bytes:
        """One damaged frame, as JSON or as MessagePack."""
        if self.random.random() < 0.05:
            self._renew()
        while True:
            tree = self.random.choice(self._trees)
            good = _encoded(tree, is_binary=is_binary)
            chance = self.random.random()
            if chance < 0.45:
                bad = self._damaged_tree(tree, is_binary=is_binary)
            elif chance < 0.98:
                bad = self.random.choice(self._by_bytes)(good)
            else:
                bad = self._nested(is_binary=is_binary)
            if bad is not None and bad != good:
                return bad

    # --- good frames ------------------------------------------------------------------------------

    def _good(self, kind: Any) -> Tree:
        for _ in range(1000):
            tree = {"type": kind.__struct_config__.tag, **self._built(kind)}
            if not isinstance(self._reader.read_json(json.dumps(tree)), Rejection):
                return tree
        raise AssertionError(f"no good {kind} can be made")

    def _renew(self) -> None:
        """One good frame more, about whoever and whatever there is now."""
        place = self.random.randrange(len(self._trees))
        self._trees[place] = self._good(self._kinds[place % len(self._kinds)])

    def _built(self, struct: Any) -> dict[str, Tree]:
        kind = _type_info(struct)
        assert isinstance(kind, inspect.StructType)
        return {
            field.encode_name: self._valued(field.type)
            for field in kind.fields
            if field.required or self.random.random() < 0.6
        }

    def _valued(self, kind: inspect.Type) -> Tree:
        match kind:
            case inspect.StructType(cls=cls):
                return self._built(cls)
            case inspect.UnionType(types=types):
                return self._valued(self.random.choice(types))
            case inspect.StrType():
                return self.random.choice(WORDS)
            case inspect.IntType(ge=least, le=most):
                return self.random.randint(least or 0, min(most or 300, 300))
            case inspect.BoolType():
                return self.random.random() < 0.5
            case inspect.UUIDType():
                return str(self.random.choice(self._ids))
            case inspect.NoneType():
                return None
            case inspect.LiteralType(values=values):
                return self.random.choice(values)
            case _:
                raise NotImplementedError(kind)

    # --- damage to the tree -----------------------------------------------------------------------

    def _damaged_tree(self, tree: Tree, *, is_binary: bool) -> bytes | None:
        """None where the format cannot say what came out."""
        tree = deepcopy(tree)
        for _ in range(self.random.randint(1, 3)):
            self.random.choice(self._by_tree)(tree)
            if not tree:
                break
        if self.random.random() < 0.02:
            tree = [tree]
        try:
            return _encoded(tree, is_binary=is_binary, is_ascii=self.random.random() < 0.5)
        except (OverflowError, UnicodeEncodeError):
            return None

    def _odd(self) -> Tree:
        match self.random.randrange(6):
            case 0:
                return self.random.choice(ODD_TEXTS)
            case 1 | 2:
                return self.random.choice(ODD_NUMBERS)
            case 3:
                return self.random.choice((None, True, False, [], {}, [[]], {"": {}}))
            case 4:
                return [self.random.choice(ODD_TEXTS)] * self.random.randint(1, 4)
            case _:
                return {word: word for word in WORDS}

    def _place(self, tree: Tree) -> tuple[Tree, str]:
        """A field of the frame or of its payload."""
        inner = tree.get("payload")
        holder = inner if isinstance(inner, dict) and inner and self.random.random() < 0.7 else tree
        return holder, self.random.choice(list(holder))

    def _vary(self, tree: Tree) -> None:
        """Another value of the same kind: the frame stays good and means something else."""
        holder, key = self._place(tree)
        match holder[key]:
            case bool(value):
                holder[key] = not value
            case int():
                holder[key] = self.random.randint(0, 10)
            case str() if key.endswith("_id"):
                holder[key] = str(self.random.choice(self._ids))
            case str() if holder is not tree:
                holder[key] = self.random.choice(WORDS)

    def _confuse(self, tree: Tree) -> None:
        holder, key = self._place(tree)
        holder[key] = self._odd()

    def _lose(self, tree: Tree) -> None:
        holder, key = self._place(tree)
        del holder[key]

    def _add(self, tree: Tree) -> None:
        holder, _ = self._place(tree)
        holder[self.random.choice(("id", "payload", "chat_id", "x", "x" * 300))] = self._odd()

    def _retype(self, tree: Tree) -> None:
        tree["type"] = self.random.choice(self._trees)["type"]

    def _swap(self, tree: Tree) -> None:
        (one, key), (other, place) = self._place(tree), self._place(tree)
        one[key], other[place] = deepcopy(other[place]), deepcopy(one[key])

    def _wrap(self, tree: Tree) -> None:
        holder, key = self._place(tree)
        holder[key] = self.random.choice(([holder[key]], {key: holder[key]}))

    # --- damage to the bytes ----------------------------------------------------------------------

    def _flip(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        for _ in range(self.random.choice((1, 1, 1, 2, 8))):
            damaged[self.random.randrange(len(damaged))] ^= 1 << self.random.randrange(8)
        return bytes(damaged)

    def _cut(self, data: bytes) -> bytes:
        return data[: self.random.randrange(len(data))]

    def _part(self, data: bytes) -> tuple[int, int]:
        start = self.random.randrange(len(data))
        return start, min(len(data), start + self.random.randint(1, 24))

    def _drop(self, data: bytes) -> bytes:
        start, end = self._part(data)
        return data[:start] + data[end:]

    def _double(self, data: bytes) -> bytes:
        start, end = self._part(data)
        return data[:end] + data[start:end] * self.random.choice((1, 1, 2, 200)) + data[end:]

    def _insert(self, data: bytes) -> bytes:
        start, _ = self._part(data)
        return data[:start] + self.random.choice(ODD_BYTES + CLAIMS) + data[start:]

    def _overwrite(self, data: bytes) -> bytes:
        start, end = self._part(data)
        return data[:start] + self.random.choice(ODD_BYTES + CLAIMS) + data[end:]

    def _splice(self, data: bytes) -> bytes:
        other = _encoded(self.random.choice(self._trees), is_binary=data[:1] != b"{")
        return data[: self.random.randrange(len(data))] + other[self.random.randrange(len(other)) :]

    def _nested(self, *, is_binary: bool) -> bytes:
        depth = self.random.choice((50, 1000, 20_000))
        if is_binary:
            return self.random.choice((b"\x91", b"\x81\xa1a", b"\x82\xa4type\xa4ping\xa1x")) * depth
        head, tail = self.random.choice(
            ((b"[", b"]"), (b'{"type":', b"}"), (b'{"type":"ping","payload":', b"}"))
        )
        depth = min(depth, 60_000 // len(head))
        return head * depth + self.random.choice((b"", b"1" + tail * depth))


def _encoded(tree: Tree, *, is_binary: bool, is_ascii: bool = False) -> bytes:
    if is_binary:
        return msgspec.msgpack.encode(tree)
    return json.dumps(tree, ensure_ascii=is_ascii).encode()
