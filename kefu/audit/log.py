"""The audit log: the `Trail` other features write to, its pages, and the check that it is whole.

The check finds what was changed, taken out or put in behind the triggers' back. Someone who can
write to the database and computes every later hash anew is found only by a copy kept elsewhere.
"""

from hmac import compare_digest
from typing import Final

from kefu.audit import store
from kefu.audit.chain import GENESIS, link
from kefu.audit.messages import Act
from kefu.clock import Clock
from kefu.storage.database import Connection, DatabasePool, connected
from protocol.audit import AuditEntry, AuditPage

PAGE_LIMIT: Final = 200
MAX_ID: Final = 2**63 - 1
STEP: Final = 1000


class AuditLog:
    def __init__(self, pool: DatabasePool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def append(self, connection: Connection, act: Act) -> None:
        """See `Trail.append`."""
        head = await store.lock_head(connection)
        entry = AuditEntry(
            id=head.id + 1,
            at=self._clock.now(),
            by_type=act.by.type,
            by_id=act.by.id,
            by_name=act.by.name,
            action=act.action,
            subject_type=act.subject_type,
            subject_id=act.subject_id,
            before=act.before,
            after=act.after,
            address=act.by.address,
        )
        await store.insert_entry(connection, store.Row(entry, head.hash, link(head.hash, entry)))

    async def page(self, *, before: int = MAX_ID, limit: int = PAGE_LIMIT) -> AuditPage:
        """Entries older than the id `before`, newest first, at most 200."""
        limit = min(limit, PAGE_LIMIT)
        async with connected(self._pool) as connection:
            entries = await store.page(connection, before, limit)
        is_last = len(entries) < limit or entries[-1].id == 1
        return AuditPage(entries, None if is_last else str(entries[-1].id))

    async def verify(self) -> int | None:
        """The id of the first entry that is not what was written, or is missing; None: all whole.

        Reads the whole log, 1,000 entries at a time, as it stood when the check began.
        """
        async with (
            connected(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await _first_tampered(connection)


async def _first_tampered(connection: Connection) -> int | None:
    head = await store.read_head(connection)
    seen, previous = 0, GENESIS
    while rows := await store.walk(connection, seen, STEP):
        for row in rows:
            if row.entry.id != seen + 1 or seen == head.id or not _follows(previous, row):
                return seen + 1
            seen, previous = row.entry.id, row.hash
    if seen < head.id:
        return seen + 1
    return None if compare_digest(previous, head.hash) else max(1, seen)


def _follows(previous: bytes, row: store.Row) -> bool:
    is_behind = compare_digest(row.previous_hash, previous)
    return is_behind and compare_digest(row.hash, link(previous, row.entry))
