"""The rules of answering from entries: which belong together, which language, how sure one is."""

from collections.abc import Iterable, Sequence
from math import exp
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from kefu.folding import is_traditional
from kefu.knowledge.messages import Confidence, Found, Hit
from protocol.knowledge import Locale

# Whom an answer in another language suits better than nothing, the best first.
_NEXT_BEST: Final[dict[Locale, tuple[Locale, ...]]] = {
    "zh-CN": ("zh-TW", "en"),
    "zh-TW": ("zh-CN", "en"),
    "en": ("zh-CN", "zh-TW"),
}
_TAIWANESE: Final = ("hant", "tw", "hk", "mo")
PERHAPS: Final = 0.5
FLOOR_ONE_IN: Final = 50


class Known(Struct, frozen=True):
    """An entry as it is searched."""

    id: UUID
    key: str | None
    locale: Locale | None
    question: str
    answer: str
    phrasings: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything a question is compared with, the most important first."""
        return (self.question, f"{self.question} {self.answer}", *self.phrasings)


Group: TypeAlias = tuple[Known, ...]
"""Entries that are the same answer, in one language each."""


class Scale(Struct, frozen=True):
    """How an engine's ranking is read: weights of a logistic function, fitted to questions that the
    demo shop answers and to others, and from where on one is sure.

    `floor` is what the background itself comes to with these entries; without many phrasings
    everything is lower. `above` is how far above it an answer begins, and `lead` how far the first
    score must be ahead of the second to be sure.
    """

    score: float
    background: float
    odds: float
    above: float
    sure: float
    lead: float
    floor: float = 0.0


class Ranking(Struct, frozen=True):
    """Numbers of groups with their scores, the best first.

    `background` is the score of what is nearest among texts that are no question to the shop;
    `odds` by how much the question is likelier among the entries than among those. `exact` is the
    group that has the very words of the question.
    """

    scores: tuple[tuple[int, float], ...] = ()
    background: float = 0.0
    odds: float = 0.0
    exact: int | None = None


def grouped(entries: Iterable[Known]) -> tuple[Group, ...]:
    """In the order of their first ids."""
    groups: dict[UUID | str, list[Known]] = {}
    for entry in sorted(entries, key=lambda each: each.id):
        groups.setdefault(entry.key or entry.id, []).append(entry)
    return tuple(tuple(group) for group in groups.values())


def language(text: str, locale: str | None) -> Locale | None:
    """In which language to answer: that of the text where it shows one, else that of the page."""
    asked = _known(locale)
    if any("\u3400" <= character <= "\u9fff" for character in text):
        if asked in ("zh-CN", "zh-TW"):
            return asked
        return "zh-TW" if is_traditional(text) else "zh-CN"
    words = sum(word.isascii() and word.isalpha() and len(word) > 1 for word in text.split())
    return "en" if words > 1 or asked is None else asked


def _known(locale: str | None) -> Locale | None:
    parts = (locale or "").lower().replace("_", "-").split("-")
    if parts[0] == "zh":
        return "zh-TW" if any(part in _TAIWANESE for part in parts[1:]) else "zh-CN"
    return "en" if parts[0] == "en" else None


def spoken(group: Group, locale: Locale | None) -> Known:
    """The entry of the group to answer with. One without a language suits everybody."""
    by_locale = {entry.locale: entry for entry in reversed(group)}
    order = (locale, None, *_NEXT_BEST[locale]) if locale else (None,)
    return next((by_locale[each] for each in order if each in by_locale), group[0])


def judge(
    groups: Sequence[Group], ranking: Ranking, scale: Scale, locale: Locale | None, limit: int
) -> Found:
    """The nearest entries and how sure one may be; they are there even when nobody knows.

    A hit's score is how likely it is that the shop has an answer, going by this entry. What was
    asked in the words of an entry is answered with it, whatever else is near.
    """
    scores = [each for each in ranking.scores if each[0] != ranking.exact]
    chances = [(number, chance_of(score, ranking, scale)) for number, score in scores[:limit]]
    if ranking.exact is not None:
        chances = [(ranking.exact, 1.0), *chances[: limit - 1]]
    hits = []
    for number, chance in chances:
        entry = spoken(groups[number], locale)
        hits.append(Hit(entry.id, entry.question, entry.answer, round(chance, 4)))
    return Found(_confidence(ranking, scale), tuple(hits))


def _confidence(ranking: Ranking, scale: Scale) -> Confidence:
    if ranking.exact is not None:
        return "sure"
    if not ranking.scores:
        return "none"
    first, *others = (score for _, score in ranking.scores)
    chance = chance_of(first, ranking, scale)
    if chance < PERHAPS:
        return "none"
    is_ahead = not others or first - others[0] >= scale.lead
    return "sure" if chance >= scale.sure and is_ahead else "perhaps"


def chance_of(score: float, ranking: Ranking, scale: Scale) -> float:
    return 1 / (1 + exp(scale.floor + scale.above - _height(score, ranking, scale)))


def _height(score: float, ranking: Ranking, scale: Scale) -> float:
    return scale.score * score + scale.background * ranking.background + scale.odds * ranking.odds


def settled(scale: Scale, rankings: Iterable[Ranking]) -> Scale:
    """With the floor at what one in fifty of these comes to: texts of the background, each compared
    with the entries and the rest of the background."""
    heights = [_height(each.scores[0][1], each, scale) for each in rankings if each.scores]
    heights.sort(reverse=True)
    return replace(scale, floor=heights[len(heights) // FLOOR_ONE_IN]) if heights else scale
