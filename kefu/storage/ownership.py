"""Which slots this process may write: all of them, for the one instance a database has.

Claiming raises every slot's epoch, so that whoever wrote before is fenced from here on; it must
come before anything is read. A lock held for as long as the process lives keeps a second server
from taking a running one's chats away by mistake.
"""

from typing import Final

import asyncpg

from kefu.errors import KefuError
from kefu.storage.database import Connection
from kefu.storage.journal_sql import CLAIM, HOLD_DATABASE

WAIT_FOR_PREDECESSOR_S: Final = 15.0
OCCUPIED: Final = (
    "Another kefu server uses this database; stop it first (one server per database for now)."
)


async def hold_database(connection: Connection) -> None:
    """Be the only server of this database while `connection` lives.

    A predecessor that is just ending is waited for. Raises KefuError when one is running.
    """
    try:
        await connection.execute(HOLD_DATABASE, timeout=WAIT_FOR_PREDECESSOR_S)
    except (TimeoutError, asyncpg.QueryCanceledError):
        raise KefuError(OCCUPIED) from None


async def claim_slots(connection: Connection, instance: str) -> dict[int, int]:
    """Slot to epoch, for every slot; any earlier owner can write no more."""
    rows = await connection.fetch(CLAIM, instance)
    return {row["slot"]: row["epoch"] for row in rows}
