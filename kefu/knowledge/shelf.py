"""The vectors of all texts: in memory, kept in PostgreSQL, and made only when a text is new.

Import it only where numpy is installed. At most 60,000 vectors are held (120 MB): beyond, every
entry has those of its question and its answer and as many phrasings as fit; the words of all
phrasings count in any case.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from msgspec import Struct

from kefu.knowledge import store
from kefu.knowledge.encoder import Encoder
from kefu.knowledge.engines import Words
from kefu.knowledge.lexical import Document
from kefu.knowledge.semantic import (
    Matrix,
    SemanticEngine,
    Vectors,
    gathered,
    packed,
    unpacked,
)
from kefu.knowledge.state import Group, Known
from kefu.storage.database import DatabasePool, connected, transaction
from protocol.knowledge import PHRASINGS

VECTORS: Final = 60_000
ENCODED_CHARS: Final = 400
_AT_ONCE: Final = 16  # texts encoded before a question may come between
_KEPT_AT_ONCE: Final = 256
_READ_AT_ONCE: Final = 5000
_MAIN_TEXTS: Final = 2  # the question, and the question with the answer

T = TypeVar("T")


class Text(Struct, frozen=True):
    """One text that has a vector."""

    hash: bytes
    text: str


class Shelf:
    """`limiter` is that of the encoder, which does one thing at a time."""

    def __init__(
        self,
        pool: DatabasePool,
        encoder: Encoder,
        limiter: CapacityLimiter,
        background: Sequence[Document],
    ) -> None:
        self._pool = pool
        self._encoder = encoder
        self._limiter = limiter
        self._background_texts = [_read(text) for texts in background for text in texts]
        self._background: Vectors | None = None
        self._vectors: Mapping[bytes, Matrix] = {}
        self._new: dict[bytes, Matrix] = {}

    def missing(self, groups: Sequence[Group]) -> list[Text]:
        """The texts without a vector in memory, those of the background among them."""
        wanted = {text.hash: text for texts in chosen(groups) for text in texts}
        wanted |= {text.hash: text for text in self._background_texts}
        return [text for key, text in wanted.items() if not self._has(key)]

    async def fill(self, groups: Sequence[Group], is_disturbed: Callable[[], bool]) -> bool:
        """Read or make what is missing. False when it was disturbed before the end; what is there
        by then stays. Raises StoreUnavailable."""
        await self._read_kept(self.missing(groups))
        for some in _sliced(self.missing(groups), _KEPT_AT_ONCE):
            if is_disturbed():
                return False
            made: dict[bytes, bytes] = {}
            for few in _sliced(some, _AT_ONCE):
                rows = await anyio.to_thread.run_sync(
                    self._encoder.encode, [text.text for text in few], limiter=self._limiter
                )
                hashes = [text.hash for text in few]
                self._new.update(zip(hashes, rows, strict=True))
                made.update(zip(hashes, packed(rows), strict=True))
            async with transaction(self._pool) as connection:
                await store.keep_vectors(connection, self._encoder.name, made)
        return True

    def engine(self, groups: Sequence[Group], words: Words) -> SemanticEngine:
        """For groups that `fill` was called with last. Blocks."""
        sources: list[Mapping[bytes, Matrix]] = [self._new, self._vectors, self._background or {}]
        if self._background is None:
            hashes = [text.hash for text in self._background_texts]
            self._background = gathered(hashes, *sources)
        texts = chosen(groups)
        vectors = gathered([text.hash for each in texts for text in each], *sources)
        counts = [len(each) for each in texts]
        self._vectors, self._new = vectors, {}
        return SemanticEngine(self._encoder, words, vectors, counts, self._background)

    async def forget(self, gone: Iterable[Known], kept: Iterable[Known]) -> None:
        """Drop the vectors of texts that no entry has any more. Raises StoreUnavailable."""
        stale = {text.hash for entry in gone for text in _texts(entry, PHRASINGS)}
        if stale:
            stale -= {text.hash for entry in kept for text in _texts(entry, PHRASINGS)}
            stale -= {text.hash for text in self._background_texts}
        if stale:
            async with transaction(self._pool) as connection:
                await store.drop_vectors(connection, list(stale))

    def _has(self, key: bytes) -> bool:
        return any(key in each for each in (self._vectors, self._new, self._background or {}))

    async def _read_kept(self, texts: Sequence[Text]) -> None:
        for some in _sliced([text.hash for text in texts], _READ_AT_ONCE):
            async with connected(self._pool) as connection:
                kept = await store.read_vectors(connection, self._encoder.name, some)
            self._new.update((key, unpacked(each)) for key, each in kept.items())


def chosen(groups: Sequence[Group], limit: int = VECTORS) -> list[list[Text]]:
    """For each group its texts that have vectors: as many phrasings of every entry as fit."""
    counts = [len(entry.phrasings) for group in groups for entry in group]
    most = PHRASINGS
    while most and sum(_MAIN_TEXTS + min(count, most) for count in counts) > limit:
        most -= 1
    return [[text for entry in group for text in _texts(entry, most)] for group in groups]


def _texts(entry: Known, phrasings: int) -> Iterator[Text]:
    for text in entry.texts[: _MAIN_TEXTS + phrasings]:
        yield _read(text)


def _read(text: str) -> Text:
    text = text[:ENCODED_CHARS]
    return Text(sha256(text.encode()).digest()[:16], text)


def _sliced(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
