"""Whether a customer wishes to be shown products, and which: by the form of their sentence. Pure.

Only forms that ask count (wish_forms.py). Cards below a complaint, an order or a friend who was
recommended are worse than no cards: in doubt there is no wish.
"""

import re
from re import Match
from typing import Final

from msgspec import Struct

from kefu.bot import wish_forms as forms
from kefu.folding import folded

TEXT_CHARS: Final = 500
_CLAUSES: Final = re.compile(r"[，。！？；,!?;\n]|\.(?:\s|$)")


class Wish(Struct, frozen=True):
    """`phrase` is what they named, as they wrote it; `noun` is what a product must have in its name
    to be that. Both are empty where nothing was named. `is_advice`: what fits them will do, too."""

    is_advice: bool
    phrase: str = ""
    noun: str = ""


def wish_of(text: str) -> Wish | None:
    """The first wish of the text."""
    text = text[:TEXT_CHARS]
    if forms.UPSET.search(folded(text)):
        return None
    clauses = (clause.strip() for clause in _CLAUSES.split(text))
    return next((wish for each in clauses if each and (wish := _wish_in(each))), None)


def is_named(name: str, noun: str) -> bool:
    """Whether a product of that name is what the noun says."""
    plain, words = folded(name).lower(), folded(noun).lower().split()
    return bool(words) and all(_stands_in(plain, word) for word in words)


def _stands_in(name: str, word: str) -> bool:
    """A word of letters as a whole, in singular or plural; a single character (灯) at the end of
    one."""
    if word.isascii():
        stem = re.escape(forms.PLURAL.sub("", word))
        return re.search(rf"(?<![a-z0-9]){stem}(?:e?s?|y|ies)(?![a-z])", name) is not None
    if len(word) == 1:
        return any(part.endswith(word) for part in name.split())
    return word in name


def _wish_in(clause: str) -> Wish | None:
    """Advice goes first: 有没有推荐的帐篷 is no search for 推荐的帐篷."""
    plain = folded(clause)
    if forms.OTHER_BUSINESS.search(plain):
        return None
    for form in forms.ADVICE:
        match = form.search(plain)
        if match is not None:
            named = _named(clause, match) if _is_asked(match) else None
            return Wish(True, *named) if named is not None else None
    for form in forms.GOOD:
        match = form.search(plain)
        named = _named(clause, match) if match is not None else None
        if named is not None:
            return Wish(not named[1], *named)
    for form in forms.FIND:
        match = form.search(plain)
        named = _named(clause, match) if match is not None else None
        if named is not None and named[1]:
            return Wish(False, *named)
    return None


def _is_asked(match: Match[str]) -> bool:
    """Not told of, nor of another matter."""
    before = match.groupdict().get("before") or ""
    return not forms.STATED.search(before) and not forms.REFERRED.match(match["what"])


def _named(clause: str, match: Match[str]) -> tuple[str, str] | None:
    """Phrase and noun, both empty for anything; None for what no shop sells.

    The form was found in the folded clause, whose characters stand where the clause's do.
    """
    start, end = match.span("what")
    plain = match["what"]
    lead, tail = forms.LEAD.match(plain), forms.TAIL.search(plain)
    start, end = start + (lead.end() if lead else 0), start + (tail.start() if tail else len(plain))
    phrase = clause[start:end].strip()
    noun = _noun(phrase)
    if any(forms.NO_GOODS.search(each) for each in (plain, folded(phrase), folded(noun))):
        return None
    return ("", "") if not noun or forms.ANYTHING.fullmatch(folded(noun)) else (phrase, noun)


def _noun(phrase: str) -> str:
    """The thing itself, without what describes it: 帐篷 of 适合两个人的帐篷."""
    first = forms.AND.split(folded(phrase), maxsplit=1)[0]
    described = first.rfind("的") + 1
    noun = phrase[described : len(first)].strip()
    lead = forms.LEAD.match(folded(noun))
    return noun[lead.end() :] if lead else noun
