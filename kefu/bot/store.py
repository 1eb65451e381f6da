"""The SQL of the bot: which conversation with a provider each session is in."""

from datetime import datetime

from kefu.bot.ports import Context
from kefu.storage.database import Connection

FIND = "SELECT conversation_id, since FROM bot_conversations WHERE session = $1 AND provider = $2"


async def find(connection: Connection, session: str, provider: str) -> Context | None:
    row = await connection.fetchrow(FIND, session, provider)
    return None if row is None else Context(row["conversation_id"], row["since"].timestamp())


# Of two that begin at the same time, the second takes the first one's.
BEGIN = """
INSERT INTO bot_conversations AS known (session, provider, conversation_id, since, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (session, provider) DO UPDATE SET since = known.since
RETURNING conversation_id, since
"""


async def begin(
    connection: Connection,
    session: str,
    provider: str,
    conversation_id: str,
    *,
    since: datetime,
    now: datetime,
) -> Context:
    """The session's conversation, this one if it had none."""
    row = await connection.fetchrow(BEGIN, session, provider, conversation_id, since, now)
    assert row is not None
    return Context(row["conversation_id"], row["since"].timestamp())


RESTART = """
INSERT INTO bot_conversations (session, provider, conversation_id, since, created_at)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (session, provider) DO UPDATE SET
    conversation_id = excluded.conversation_id, since = excluded.since,
    created_at = excluded.created_at
"""


async def restart(
    connection: Connection, session: str, provider: str, conversation_id: str, now: datetime
) -> None:
    """From `now` on the session is in this conversation and in no context from before."""
    await connection.execute(RESTART, session, provider, conversation_id, now)


REPLACE = """
UPDATE bot_conversations SET conversation_id = $4, created_at = $5
WHERE session = $1 AND provider = $2 AND conversation_id = $3
"""


async def replace(
    connection: Connection, session: str, provider: str, lost: str, new: str, now: datetime
) -> None:
    """Take `new` where `lost` was. Does nothing when somebody has replaced it meanwhile."""
    await connection.execute(REPLACE, session, provider, lost, new, now)
