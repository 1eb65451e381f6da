"""The shop's knowledge over HTTP: its entries, how they are imported, and what nobody could answer.

Entries with the same `key` are one answer in several languages: what is asked in one language finds
it by the words of all, and is answered in its own where there is an entry for it.
"""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from protocol.accounts import WORDS

QUESTION_CHARS: Final = 500
ANSWER_CHARS: Final = 4000
PHRASINGS: Final = 20
TAGS: Final = 20
ENTRIES: Final = 10_000
IMPORT_BYTES: Final = 1024 * 1024
IMPORT_ROWS: Final = 2000

Locale = Literal["zh-CN", "zh-TW", "en"]
Confidence = Literal["sure", "perhaps", "none"]
_KEY: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
EntryKey = Annotated[str, Meta(min_length=1, max_length=100, pattern=_KEY)]
QuestionText = Annotated[str, Meta(min_length=1, max_length=QUESTION_CHARS, pattern=WORDS)]
AnswerText = Annotated[str, Meta(min_length=1, max_length=ANSWER_CHARS, pattern=WORDS)]
Phrasing = Annotated[str, Meta(min_length=1, max_length=200, pattern=WORDS)]
Phrasings = Annotated[tuple[Phrasing, ...], Meta(max_length=PHRASINGS)]
Tag = Annotated[str, Meta(min_length=1, max_length=50, pattern=WORDS)]
Tags = Annotated[tuple[Tag, ...], Meta(max_length=TAGS)]


class NewEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`phrasings` are other ways in which customers ask the same."""

    question: QuestionText
    answer: AnswerText
    phrasings: Phrasings = ()
    tags: Tags = ()
    locale: Locale | None = None
    enabled: bool = True
    key: EntryKey | None = None


class ChangeEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays."""

    question: QuestionText | UnsetType = UNSET
    answer: AnswerText | UnsetType = UNSET
    phrasings: Phrasings | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    locale: Locale | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    key: EntryKey | UnsetType | None = UNSET


class KnowledgeEntry(Struct, frozen=True):
    id: UUID
    question: str
    answer: str
    phrasings: tuple[str, ...]
    tags: tuple[str, ...]
    locale: Locale | None
    enabled: bool
    key: str | None
    created_at: datetime
    updated_at: datetime


class EntryPage(Struct, frozen=True):
    """The last changed first. `total` counts all that fit what was asked for."""

    entries: tuple[KnowledgeEntry, ...]
    total: int


class KnowledgeHit(Struct, frozen=True):
    """An entry that may fit; `score` is 0..1, higher is nearer."""

    entry_id: UUID
    question: str
    answer: str
    score: float


class KnowledgeSearch(Struct, frozen=True):
    """The nearest entries, the best first, and what the bot would make of them."""

    confidence: Confidence
    hits: tuple[KnowledgeHit, ...]


class UnansweredQuestion(Struct, frozen=True):
    """Asked `asked_count` times in words that differ in no letter; `text` is how it was first."""

    id: UUID
    text: str
    locale: Locale | None
    asked_count: int
    first_at: datetime
    last_at: datetime


class UnansweredPage(Struct, frozen=True):
    """The most asked first."""

    questions: tuple[UnansweredQuestion, ...]
    total: int


class AnswerUnanswered(Struct, frozen=True, forbid_unknown_fields=True):
    """Makes an entry of the question; what is left out is taken from how it was asked."""

    answer: AnswerText
    question: QuestionText | UnsetType = UNSET
    phrasings: Phrasings = ()
    tags: Tags = ()
    locale: Locale | UnsetType | None = UNSET
    key: EntryKey | None = None
