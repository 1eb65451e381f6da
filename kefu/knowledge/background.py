"""What people say to a shop's bot that is no question to the shop, in `elsewhere.json`.

Without it anything would be near to some entry: "how do I cancel my gym membership" is closer to a
shop's "how do I cancel my order" than most honest questions are. A question counts as the shop's as
far as it is nearer to an entry than to this. A shop that does answer such things is heard, too: its
own entries are nearer still.
"""

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

ELSEWHERE: Final = Path(__file__).with_name("elsewhere.json")
_TOGETHER: Final = 10


class Crossed(Struct, frozen=True, forbid_unknown_fields=True):
    """`each` of what is asked is asked about each of the things, in place of {}: about the first
    thing the first ones, about the next the next, and so on in turn."""

    things: tuple[str, ...]
    asked: tuple[str, ...]
    each: int


class Spoken(Struct, frozen=True, forbid_unknown_fields=True):
    """One language's part of the file."""

    said: tuple[str, ...]
    crossed: tuple[Crossed, ...]


def read_background() -> tuple[tuple[str, ...], ...]:
    """Texts in small groups about the same thing, or of the same language."""
    whole = msgspec.json.decode(ELSEWHERE.read_bytes(), type=dict[str, Spoken])
    return tuple(group for spoken in whole.values() for group in _groups(spoken))


def _groups(spoken: Spoken) -> Iterator[tuple[str, ...]]:
    said = iter(spoken.said)
    while some := tuple(islice(said, _TOGETHER)):
        yield some
    for crossed in spoken.crossed:
        asked = cycle(crossed.asked)
        for thing in crossed.things:
            turn = islice(asked, min(crossed.each, len(crossed.asked)))
            yield tuple(each.replace("{}", thing) for each in turn)
