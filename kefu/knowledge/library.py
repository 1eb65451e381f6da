"""Finds what the shop knows, and keeps up with the entries as they change.

Entries are read from PostgreSQL and indexed in memory, off the event loop. A change on this
instance is seen at once, one made elsewhere at the next look, two seconds later at most. While many
new texts have no vectors yet, questions are answered by words alone.
"""

import importlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from msgspec import Struct

from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.knowledge import store
from kefu.knowledge.background import read_background
from kefu.knowledge.encoder import Encoder, load_encoder
from kefu.knowledge.engines import Engine, LexicalEngine, words_of
from kefu.knowledge.lexical import Document
from kefu.knowledge.messages import Found
from kefu.knowledge.state import Group, Known, grouped, judge, language
from kefu.knowledge.unanswered import Unanswered
from kefu.storage.database import DatabasePool, connected
from kefu.storage.errors import StoreUnavailable

if TYPE_CHECKING:
    from kefu.knowledge.shelf import Shelf

LOOK_EVERY_S: Final = 2.0
FIND_WITHIN_S: Final = 2.0
QUESTIONS_WAITING: Final = 64
# Fewer texts than this are encoded before the change is shown: it takes a blink.
ENCODED_FIRST: Final = 200
log = logging.getLogger("kefu.knowledge")
T = TypeVar("T")


class Index(Struct, frozen=True):
    """Everything a question is answered from."""

    groups: tuple[Group, ...]
    engine: Engine


class Library:
    """Keeps the promises of `kefu.knowledge.messages.Knowledge`. Start `run()` in a task.

    `load` makes the encoder, or says None where there is none; it may block.
    """

    def __init__(
        self,
        pool: DatabasePool,
        clock: Clock,
        entropy: Entropy,
        *,
        load: Callable[[], Encoder | None] = load_encoder,
    ) -> None:
        self._pool = pool
        self._load = load
        self._unanswered = Unanswered(pool, clock, entropy)
        self._asking, self._building = CapacityLimiter(1), CapacityLimiter(1)
        self._changed = anyio.Event()
        self._entries: dict[UUID, Known] = {}
        self._gone: list[Known] = []
        self._version = -1
        self._is_whole = False
        self._index = _empty()
        self._background: Sequence[Document] = ()
        self._shelf: Shelf | None = None
        self._is_read = anyio.Event()

    @property
    def engine(self) -> Engine:
        """The one that answers now."""
        return self._index.engine

    @property
    def is_current(self) -> bool:
        """Whether everything that was read is indexed as it is to be."""
        return self._is_whole and not self._changed.is_set()

    async def find(self, text: str, locale: str | None, *, limit: int = 3) -> Found:
        """As the port says; nothing is found while the entries are still being read."""
        found = await self.search(text, locale, limit=limit)
        return found if found.confidence != "none" else Found("none")

    async def search(self, text: str, locale: str | None, *, limit: int = 10) -> Found:
        """`find` for people who judge by themselves: the nearest are there in any case."""
        if self._asking.statistics().tasks_waiting >= QUESTIONS_WAITING:
            log.warning("knowledge_overloaded")
            return Found("none")
        index = self._index
        if not index.groups:
            return Found("none")
        try:
            with anyio.fail_after(FIND_WITHIN_S):
                ranking = await anyio.to_thread.run_sync(
                    index.engine.rank, text, limiter=self._asking, abandon_on_cancel=True
                )
        except TimeoutError:
            log.warning("knowledge_too_slow")
            return Found("none")
        return judge(index.groups, ranking, index.engine.scale, language(text, locale), limit)

    def note_unanswered(self, text: str, locale: str | None) -> None:
        """As the port says."""
        self._unanswered.note(text, locale)

    def changed(self) -> None:
        """Entries were written on this instance."""
        self._changed.set()

    async def until_read(self, *, within_s: float) -> None:
        """Return when the entries can be found by their words, or when that takes too long."""
        with anyio.move_on_after(within_s):
            await self._is_read.wait()

    async def run(self) -> None:
        """Follow the entries and write unanswered questions, for ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._unanswered.run)
            tasks.start_soon(self._follow)

    async def _follow(self) -> None:
        """Words are there at once; an encoder, which costs memory and a second, once there is
        anything to be found by it."""
        await self._open_words()
        has_opened = False
        while True:
            await self._refresh_once()
            if self._entries and not has_opened:
                has_opened = True
                await self._open()
                await self._refresh_once()
            with anyio.move_on_after(LOOK_EVERY_S):
                await self._changed.wait()

    async def _refresh_once(self) -> None:
        try:
            await self.refresh()
        except StoreUnavailable:
            log.warning("knowledge_unread")
        except Exception:
            log.exception("knowledge_unindexed")

    async def _open_words(self) -> None:
        self._background = await anyio.to_thread.run_sync(read_background, limiter=self._building)

    async def _open(self) -> None:
        if not self._background:
            await self._open_words()
        try:
            self._shelf = await anyio.to_thread.run_sync(self._make_shelf, limiter=self._building)
        except Exception:
            log.exception("encoder_unusable")
        if self._shelf is not None:
            self._is_whole = False  # what was read has no vectors yet

    def _make_shelf(self) -> "Shelf | None":
        encoder = self._load()
        if encoder is None:
            return None
        shelves = importlib.import_module("kefu.knowledge.shelf")  # needs numpy
        shelf: Shelf = shelves.Shelf(self._pool, encoder, self._asking, self._background)
        return shelf

    async def refresh(self) -> None:
        """Read and index what changed. Raises StoreUnavailable."""
        self._changed = anyio.Event()
        async with connected(self._pool) as connection:
            if self._is_whole and await store.version(connection) == self._version:
                return
            changes = await store.changes_since(connection, self._version)
        is_first, self._is_whole = self._version < 0, False
        before = self._entries
        kept = {id: entry for id, entry in before.items() if id in changes.ids}
        self._entries = kept | {entry.id: entry for entry in changes.entries}
        self._gone += [entry for id, entry in before.items() if self._entries.get(id) != entry]
        self._version = changes.version
        groups, shelf = grouped(self._entries.values()), self._shelf
        if not groups and shelf is None:  # half a second of work for nothing, at the start
            self._index, self._is_whole = _empty(), True
            self._is_read.set()
            return
        words = await self._built(words_of, groups, self._background)
        if shelf is None or is_first or len(shelf.missing(groups)) > ENCODED_FIRST:
            self._index = Index(groups, await self._built(LexicalEngine, words))
            self._is_read.set()
        if shelf is None:
            self._is_whole = True
        elif await shelf.fill(groups, self._changed.is_set):
            self._index = Index(groups, await self._built(shelf.engine, groups, words))
            self._is_whole = True
            await shelf.forget(self._gone, self._entries.values())
            self._gone = []
        engine = type(self._index.engine).__name__
        log.info("knowledge_read", extra={"entries": len(groups), "engine": engine})

    async def _built(self, make: Callable[..., T], *parts: object) -> T:
        return await anyio.to_thread.run_sync(make, *parts, limiter=self._building)


def _empty() -> Index:
    return Index((), LexicalEngine(words_of((), ())))
