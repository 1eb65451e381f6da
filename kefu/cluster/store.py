"""The fence in PostgreSQL: see storage/journal_sql.py for how every write is held to it.

A claim is one statement and no transaction around it: an instance that fell asleep between the two
would keep the rows locked, and nobody could take its slots.
"""

from collections.abc import Collection, Mapping
from typing import Final

from kefu.storage.database import Connection, DatabasePool, connected

# In the order of the slots, so that two claims never wait for each other.
CLAIM: Final = """
UPDATE slot_owner AS owner SET epoch = owner.epoch + 1, instance = $2
FROM (SELECT slot FROM slot_owner WHERE slot = ANY($1::int[]) ORDER BY slot FOR UPDATE) AS wanted
WHERE owner.slot = wanted.slot
RETURNING owner.slot, owner.epoch
"""
RENEW: Final = """
UPDATE slot_owner AS owner SET epoch = owner.epoch + 1, instance = $3
FROM (
    SELECT o.slot FROM slot_owner AS o
    JOIN unnest($1::int[], $2::bigint[]) AS held (slot, epoch)
      ON o.slot = held.slot AND o.epoch = held.epoch
    ORDER BY o.slot FOR UPDATE OF o
) AS still
WHERE owner.slot = still.slot
RETURNING owner.slot, owner.epoch
"""
IDENTITY: Final = """
SELECT log_id, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS oid
FROM log_identity
"""


class PostgresClaims:
    """See ports.Claims."""

    def __init__(self, pool: DatabasePool) -> None:
        self._pool = pool

    async def claim(self, slots: Collection[int], instance: str) -> dict[int, int]:
        async with connected(self._pool) as connection:
            return await claim(connection, slots, instance)

    async def renew(self, epochs: Mapping[int, int], instance: str) -> dict[int, int]:
        async with connected(self._pool) as connection:
            rows = await connection.fetch(RENEW, list(epochs), list(epochs.values()), instance)
            return {row["slot"]: row["epoch"] for row in rows}

    async def identity(self) -> str:
        """Of this database: no other on the same Redis has it, not even a copy beside it."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(IDENTITY)
        assert row is not None, "the schema makes the row"
        return f"{str(row['log_id'])[:8]}.{row['oid']}"


async def claim(connection: Connection, slots: Collection[int], instance: str) -> dict[int, int]:
    """Raise the epoch of each slot: slot to its new epoch."""
    rows = await connection.fetch(CLAIM, list(slots), instance)
    return {row["slot"]: row["epoch"] for row in rows}
