"""What of an answer the customer has been told: forwarded piece by piece, never more than allowed.

White space before the first word is kept back: an answer that is nothing else is none. Characters
that no screen shows and no database keeps are left out.
"""

import re
from collections.abc import Callable
from typing import Final

_UNSPEAKABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class Told:
    """`say` is given each piece at once."""

    def __init__(self, say: Callable[[str], None], limit_chars: int) -> None:
        self._say = say
        self._room = limit_chars
        self._pieces: list[str] = []
        self.is_full = False

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        piece = _UNSPEAKABLE.sub("", piece)
        if not self._pieces:
            piece = piece.lstrip()
        self.is_full = self.is_full or len(piece) > self._room
        piece = piece[: self._room]
        if piece:
            self._room -= len(piece)
            self._pieces.append(piece)
            self._say(piece)
