"""A text as the pieces it is compared by: Chinese characters and their pairs, words and their ends.

Chinese is not cut into words: a dictionary would be another dependency and finds fewer entries
(single characters and pairs of neighbours did better when measured).
"""

import re
import unicodedata
from collections import Counter
from itertools import pairwise
from typing import Final

from kefu.folding import folded

READ_CHARS: Final = 200
_CHINESE: Final = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_WORD: Final = re.compile(r"[^\W_\u3400-\u9fff\uf900-\ufaff]+")
_STEM_CHARS: Final = 4


def readable(text: str, limit: int = READ_CHARS) -> str:
    """The beginning of a text, without what is no character anywhere else."""
    return text[:limit].replace("\0", "").encode(errors="ignore").decode()


def normal(text: str) -> str:
    """One way of writing what differs only in width, case or script."""
    return folded(unicodedata.normalize("NFKC", text).casefold())


def grams(text: str) -> Counter[str]:
    """How often each piece is in the text. Empty for a text without letters and digits."""
    text = normal(text)
    counted: Counter[str] = Counter()
    for run in _CHINESE.findall(text):
        counted.update(run)
        counted.update(map("".join, pairwise(run)))
    for word in _WORD.findall(text):
        counted[f" {word}"] += 1
        if len(word) > _STEM_CHARS:
            counted[f"~{word[:_STEM_CHARS]}"] += 1
    return counted


def question_key(text: str) -> str:
    """What two ways of typing the same question share: letters and digits, without the rest."""
    return "".join(re.findall(r"[^\W_]+", normal(text)))
