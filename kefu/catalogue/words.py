"""The pieces by which products are found: Chinese characters and words, words of letters, numbers.

A name has what is looked for when it has all its characters, and all its words or words that begin
so; the Chinese words of the dictionary only decide who comes first. Cutting alone would not do:
登山背包 is 登山 and 背包, and somebody looks for 登山包.

The dictionary takes a fifth of a second to load; the first call does it, in a thread.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

import anyio
from msgspec import Struct

from kefu.folding import folded

_HAN: Final = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CHINESE: Final = re.compile(f"[{_HAN}]+")
_PIECE: Final = re.compile(rf"[{_HAN}]|[0-9]+|[^\W_0-9{_HAN}]+")
_SHORT_CHARS: Final = 4


class Sought(Struct, frozen=True):
    """As PostgreSQL's tsquery: what a name must have, and what takes it to the front."""

    needed: str
    liked: str


async def pieces_of(names: Iterable[str]) -> list[list[str]]:
    """What each of the names is found by."""
    return await anyio.to_thread.run_sync(lambda: [_all_pieces(name) for name in names])


async def sought(text: str) -> Sought | None:
    """None where nothing is in the text that could be looked for."""
    return await anyio.to_thread.run_sync(_sought, text)


def _all_pieces(name: str) -> list[str]:
    text = _normal(name)
    return sorted({*_pieces(text), *_chinese_words(text)})


def _sought(text: str) -> Sought | None:
    text = _normal(text)
    pieces = dict.fromkeys(_pieces(text))
    if not pieces:
        return None
    return Sought(
        needed=" & ".join(map(_beginning, pieces)),
        liked=" | ".join(f"'{each}'" for each in (*pieces, *_chinese_words(text))),
    )


def _normal(text: str) -> str:
    """One way of writing what differs only in width, case or script."""
    return folded(unicodedata.normalize("NFKC", text).casefold())


def _pieces(text: str) -> list[str]:
    return [_singular(piece) for piece in _PIECE.findall(text)]


def _singular(piece: str) -> str:
    """Tents are found by tent, and the other way round."""
    is_plural = len(piece) >= _SHORT_CHARS and piece.endswith("s") and not piece.endswith("ss")
    return piece[:-1] if is_plural else piece


def _chinese_words(text: str) -> list[str]:
    from rjieba import cut_for_search  # noqa: PLC0415  # see above

    runs = _CHINESE.findall(text)
    return [word for run in runs for word in cut_for_search(run) if len(word) > 1]


def _beginning(piece: str) -> str:
    """Pieces hold letters and digits alone, nothing that has a meaning in a tsquery."""
    is_word = len(piece) > 1 and not piece.isdigit()
    return f"'{piece}':*" if is_word else f"'{piece}'"
