"""The one writer of conversations: many decisions, one commit.

Whoever appends waits for the commit that carries their entry; while a commit runs, the next batch
gathers, so that the commit in flight is the batching window and no timer is needed. Every entry
names the epoch under which its slot is held, checked in the same statement that writes: an owner
that was replaced while it slept writes nothing.

A connection that breaks in the middle of a commit leaves the outcome unknown. The journal writes
again; what was there already collides with itself and counts as written, so nothing is doubled.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from kefu.storage.database import translated
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal_sql import FIND_EVENTS, FIND_MESSAGES, WRITE
from kefu.storage.rows import ChatRow, CustomerRow, Entry, EventRow, MessageRow

BATCH_ROWS: Final = 512
QUEUE_ENTRIES: Final = 8192
RETRY_FOR_S: Final = 5.0
RETRY_PAUSE_S: Final = 0.1
CONNECT_TIMEOUT_S: Final = 2.0
COMMIT_TIMEOUT_S: Final = 5.0
REFUSED: Final = ("full", "read_only")
"""Reasons with which PostgreSQL says itself that it wrote nothing."""
UNKNOWN_OUTCOME: Final = "PostgreSQL does not answer; the write may or may not be there."
NOT_RUNNING: Final = "The server is stopping; nothing was written."

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Connect = Callable[[], Awaitable[Connection]]


class JournalError(Exception):
    """The entry was not written, or nobody knows; whoever asked must read the truth again."""


class JournalFull(JournalError):
    """More is waiting than the journal takes; nothing of the entry was written."""


class Fenced(JournalError):
    """Another owner holds the slot; nothing of the entry was written."""


class Collided(JournalError):
    """A row of the entry is there already: the writer's picture of the chat is old."""


class Unwritable(Exception):
    """The entry cannot be written: a bug of whoever made it. Nothing of it was written.

    The driver's own words are left out, because they repeat what people said; its type is kept.
    """


class _Waiting:
    """`is_doubtful`: it was sent once, and nobody knows what became of that."""

    __slots__ = ("done", "entry", "is_doubtful", "since")

    def __init__(self, entry: Entry, done: "asyncio.Future[None]", since: float) -> None:
        self.entry = entry
        self.done = done
        self.since = since
        self.is_doubtful = False


class Journal:
    """Start it with `run()` in a task of its own. `on_commit(rows, seconds)` feeds the metrics.

    `on_doubt(claims)` hears of (slot, epoch) pairs before an entry that was tried is refused
    without anybody knowing whether it was written, and before one is Fenced: see cluster/slots.py.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        on_commit: Callable[[int, float], None] = lambda _rows, _s: None,
        on_doubt: Callable[[frozenset[tuple[int, int]]], None] = lambda _claims: None,
        retry_for_s: float = RETRY_FOR_S,
        commit_timeout_s: float = COMMIT_TIMEOUT_S,
    ) -> None:
        self._connect = connect
        self._retry_for_s = retry_for_s
        self._commit_timeout_s = commit_timeout_s
        self._on_commit = on_commit
        self._on_doubt = on_doubt
        self._queue: deque[_Waiting] = deque()
        self._batch: list[_Waiting] = []
        self._wakeup = asyncio.Event()
        self._connection: Connection | None = None
        self._has_ended = False

    @property
    def depth(self) -> int:
        """How many entries wait for a commit."""
        return len(self._queue)

    async def append(self, entry: Entry) -> None:
        """Return when `entry` is durable.

        Raises JournalFull, Fenced, Collided; StoreUnavailable when PostgreSQL did not take it
        within RETRY_FOR_S (and what was under way then, at most a connect and a commit), and then
        the entry may or may not have been written; Unwritable.
        """
        if self._has_ended:
            raise StoreUnavailable(NOT_RUNNING)
        if len(self._queue) >= QUEUE_ENTRIES:
            raise JournalFull
        loop = asyncio.get_running_loop()
        waiting = _Waiting(entry, loop.create_future(), loop.time())
        self._queue.append(waiting)
        self._wakeup.set()
        await waiting.done

    async def run(self) -> None:
        """Write until cancelled; entries still waiting then are refused as unavailable."""
        try:
            while True:
                while not self._queue:
                    self._wakeup.clear()
                    await self._wakeup.wait()
                self._batch = self._take_batch()
                await self._write_batch()
        finally:
            self._has_ended = True
            self._give_up((*self._batch, *self._queue), StoreUnavailable(UNKNOWN_OUTCOME))
            self._queue.clear()
            self._drop_connection()

    def _take_batch(self) -> list[_Waiting]:
        """A guarded entry (they are rare) goes alone: its claims must hold together."""
        batch: list[_Waiting] = []
        rows = 0
        while self._queue and rows < BATCH_ROWS:
            if batch and self._queue[0].entry.guards:
                break
            waiting = self._queue.popleft()
            if waiting.done.done():  # whoever gave up waiting wants nothing written
                continue
            rows += waiting.entry.row_count
            batch.append(waiting)
            if waiting.entry.guards:
                break
        return batch

    async def _write_batch(self) -> None:
        """Write the batch, through lost connections, until each of its entries has an outcome."""
        while self._batch:
            try:
                await self._attempt(await self._connected(), self._batch)
                return
            except StoreUnavailable as failure:
                self._drop_connection()
                if failure.reason in REFUSED:
                    self._doubt(waiting for waiting in self._batch if waiting.is_doubtful)
                    self._give_up(self._batch, failure)
                    return
            self._drop_expired()
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    self._connection = await self._connect()
            except Exception as error:  # whatever it is, it is not the entries' fault
                raise StoreUnavailable(UNKNOWN_OUTCOME) from error
        return self._connection

    async def _attempt(self, connection: Connection, batch: list[_Waiting]) -> None:
        """Give every entry an outcome, or raise StoreUnavailable when the connection is lost."""
        try:
            with translated():
                await self._commit(connection, batch)
            return
        except StoreUnavailable as failure:
            if failure.reason not in REFUSED:
                _note_doubt(batch)
            raise
        except Exception as failure:
            if connection.is_closed():
                _note_doubt(batch)
                raise StoreUnavailable(UNKNOWN_OUTCOME) from failure
            error = failure
        rest = batch
        if isinstance(error, asyncpg.UniqueViolationError):
            rest = await self._settle_written(connection, batch)
        if len(batch) == 1:
            self._refuse(batch[0], error)
        elif len(rest) < len(batch):
            if rest:
                await self._attempt(connection, rest)
        else:  # one takes the others down with it: find out which
            middle = len(batch) // 2
            await self._attempt(connection, batch[:middle])
            await self._attempt(connection, batch[middle:])

    def _refuse(self, waiting: _Waiting, error: Exception) -> None:
        """It was not written now; perhaps it was before."""
        if isinstance(error, asyncpg.UniqueViolationError):
            _finish(waiting, Collided())
        elif waiting.is_doubtful:
            self._doubt((waiting,))
            _finish(waiting, StoreUnavailable(UNKNOWN_OUTCOME))
        else:
            _finish(waiting, Unwritable(type(error).__name__))

    async def _commit(self, connection: Connection, batch: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        held = await _write(connection, [w.entry for w in batch], self._commit_timeout_s)
        self._on_commit(sum(w.entry.row_count for w in batch), loop.time() - started)
        for waiting in batch:
            lost = [claim for claim in waiting.entry.claims if claim not in held]
            if lost:
                self._on_doubt(frozenset(lost))
            _finish(waiting, Fenced() if lost else None)

    async def _settle_written(
        self, connection: Connection, batch: list[_Waiting]
    ) -> list[_Waiting]:
        """Answer the entries that are there already, as they are; return the others.

        A commit whose answer was lost, or that was given up and came through, is no collision.
        """
        try:
            entries = [waiting.entry for waiting in batch]
            written = await _find_written(connection, entries, self._commit_timeout_s)
        except Exception as error:  # nobody knows: look again
            raise StoreUnavailable(UNKNOWN_OUTCOME) from error
        for waiting, is_written in zip(batch, written, strict=True):
            if is_written:
                _finish(waiting, None)
        return [w for w, is_written in zip(batch, written, strict=True) if not is_written]

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _drop_expired(self) -> None:
        oldest = asyncio.get_running_loop().time() - self._retry_for_s
        expired = [waiting for waiting in self._batch if waiting.since <= oldest]
        self._doubt(expired)
        while self._queue and self._queue[0].since <= oldest:
            expired.append(self._queue.popleft())
        self._give_up(expired, StoreUnavailable(UNKNOWN_OUTCOME))
        self._batch = [waiting for waiting in self._batch if not waiting.done.done()]

    def _doubt(self, entries: Iterable[_Waiting]) -> None:
        claims = frozenset(claim for waiting in entries for claim in waiting.entry.claims)
        if claims:
            self._on_doubt(claims)

    def _give_up(self, entries: Iterable[_Waiting], failure: StoreUnavailable) -> None:
        for waiting in entries:
            _finish(waiting, StoreUnavailable(str(failure), failure.reason))


def _note_doubt(batch: Iterable[_Waiting]) -> None:
    for waiting in batch:
        waiting.is_doubtful = True


def _finish(waiting: _Waiting, error: Exception | None) -> None:
    if waiting.done.done():
        return
    if error is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(error)


async def _write(
    connection: Connection, entries: Sequence[Entry], timeout_s: float
) -> set[tuple[int, int]]:
    """Write all entries in one statement; the claims that held (the others wrote nothing)."""
    claims: dict[int, int] = {}
    for entry in entries:
        for slot, epoch in entry.claims:
            claims[slot] = max(epoch, claims.get(slot, 0))
    current = [e for e in entries if all(claims[slot] == epoch for slot, epoch in e.claims)]
    # the latest row of a chat stands for all of the batch
    chats = {row.id: (entry.slot, row) for entry in current for row in entry.chats}
    messages = [(entry.slot, row) for entry in current for row in entry.messages]
    events = [(entry.slot, row) for entry in current for row in entry.events]
    held = await connection.fetch(
        WRITE,
        list(claims),
        list(claims.values()),
        *_columns(list(chats.values()), ChatRow),
        *_columns(messages, MessageRow),
        *_columns(events, EventRow),
        *_columns(_customers(current), CustomerRow),
        any(entry.guards for entry in entries),
        timeout=timeout_s,
    )
    return {(record["slot"], claims[record["slot"]]) for record in held}


def _customers(entries: Iterable[Entry]) -> list[tuple[int, CustomerRow]]:
    """Every customer once, with their slot."""
    found: dict[UUID, tuple[int, CustomerRow]] = {}
    for entry in entries:
        row = entry.customer
        if row is not None:
            _slot, older = found.get(row.id, (entry.slot, None))
            found[row.id] = (entry.slot, row.over(older))
    return list(found.values())


def _columns(rows: Sequence[tuple[int, Any]], kind: type[Any]) -> list[list[Any]]:
    """The rows turned on their side, the slot of each first: one array for every parameter."""
    if not rows:
        return [[] for _ in range(1 + len(kind.__struct_fields__))]
    columns = zip(*((slot, *msgspec.structs.astuple(row)) for slot, row in rows), strict=True)
    return [list(column) for column in columns]


async def _find_written(
    connection: Connection, entries: Sequence[Entry], timeout_s: float
) -> list[bool]:
    """An entry is there whole or not at all, so one row tells; a row of a chat or
    a customer alone is written again."""
    messages = [entry.messages[0] for entry in entries if entry.messages]
    events = [entry.events[0] for entry in entries if entry.events]
    found_messages = await connection.fetch(
        FIND_MESSAGES,
        [row.chat_id for row in messages],
        [row.seq for row in messages],
        timeout=timeout_s,
    )
    found_events = await connection.fetch(
        FIND_EVENTS,
        [row.chat_id for row in events],
        [row.log_id for row in events],
        timeout=timeout_s,
    )
    message_ids = {record["message_id"] for record in found_messages}
    event_keys = {tuple(record) for record in found_events}

    def is_written(entry: Entry) -> bool:
        if entry.messages:
            return entry.messages[0].message_id in message_ids
        if entry.events:
            row = entry.events[0]
            return (row.chat_id, row.log_id, row.created_at) in event_keys
        return False

    return [is_written(entry) for entry in entries]
