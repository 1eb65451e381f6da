"""A name as it stands in an address: 測試分類 is `ce-shi-fen-lei`.

The dictionary of pronunciations takes a third of a second to load. The first call does it, in a
thread: a server that nobody names anything in starts without it.
"""

import re
import unicodedata
from typing import Final

import anyio

_OTHER: Final = re.compile(r"[^a-z0-9]+")


async def slug_of(name: str) -> str:
    """Empty for a name without any letter that can be spelt, such as one of emoji."""
    return await anyio.to_thread.run_sync(spelt, name)


def spelt(name: str) -> str:
    from pypinyin import lazy_pinyin  # noqa: PLC0415  # see above

    syllables = "-".join(lazy_pinyin(unicodedata.normalize("NFKC", name)))
    plain = unicodedata.normalize("NFKD", syllables).encode("ascii", "ignore").decode()
    return _OTHER.sub("-", plain.lower()).strip("-")
