"""The SQL of accounts: each statement with the one function that runs it.

Usernames are compared by PostgreSQL's own lower(), everywhere, so that one name has one account
and one lock. The time is always handed in: nothing here asks the database for it.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
from msgspec import Struct

from kefu.storage.database import Connection
from protocol.accounts import Agent
from protocol.agent import AgentStatusName

AttemptKind = Literal["username", "address"]
RevokedReason = Literal[
    "signed_out", "reused", "password_changed", "password_reset", "role_changed", "deactivated"
]


class Credentials(Struct, frozen=True):
    """What a sign-in is checked against; no hash means by link only."""

    agent: Agent
    password_hash: str | None


class Session(Struct, frozen=True):
    """A sign-in whose refresh token may still be good."""

    id: UUID
    agent: Agent
    refresh_hash: bytes


AGENT_COLUMNS = """
    agents.id, agents.username, agents.name, agents.avatar_url, agents.role, agents.max_sessions,
    agents.status, agents.status_note, agents.is_active, agents.created_at, agents.last_login_at,
    agents.skills,
    ARRAY(
        SELECT team_id FROM team_members WHERE team_members.agent_id = agents.id ORDER BY team_id
    ) AS team_ids
"""


def agent_of(row: asyncpg.Record) -> Agent:
    """The agent in a row that has AGENT_COLUMNS."""
    # by the fields' own names, not the wire's: last_login_at
    fields = {name: row[name] for name in Agent.__struct_fields__}
    return Agent(**fields | {"skills": tuple(row["skills"]), "team_ids": tuple(row["team_ids"])})


FIND_CREDENTIALS = f"""
SELECT {AGENT_COLUMNS}, agents.password_hash FROM agents
WHERE lower(username) = lower($1) AND is_active
"""


async def find_credentials(connection: Connection, username: str) -> Credentials | None:
    row = await connection.fetchrow(FIND_CREDENTIALS, username)
    return None if row is None else Credentials(agent_of(row), row["password_hash"])


LOCK_CREDENTIALS = """
SELECT true FROM agents
WHERE id = $1 AND password_hash IS NOT DISTINCT FROM $2 AND is_active FOR UPDATE
"""


async def lock_credentials(
    connection: Connection, agent_id: UUID, password_hash: str | None
) -> bool:
    """Whether what was checked still counts; if so it does until the transaction ends."""
    return bool(await connection.fetchval(LOCK_CREDENTIALS, agent_id, password_hash))


UPGRADE_PASSWORD_HASH = """
UPDATE agents SET password_hash = $3 WHERE id = $1 AND password_hash = $2
"""


async def upgrade_password_hash(connection: Connection, agent_id: UUID, old: str, new: str) -> None:
    """Does nothing when the password was changed meanwhile."""
    await connection.execute(UPGRADE_PASSWORD_HASH, agent_id, old, new)


NOTE_SIGN_IN = f"""
UPDATE agents SET last_login_at = $2
WHERE id = $1 AND is_active
RETURNING {AGENT_COLUMNS}
"""


async def note_sign_in(connection: Connection, agent_id: UUID, now: datetime) -> Agent | None:
    """The agent as of now; None when deactivated meanwhile."""
    row = await connection.fetchrow(NOTE_SIGN_IN, agent_id, now)
    return None if row is None else agent_of(row)


# The agent's dead sessions go when a new one comes, so that they do not pile up.
INSERT_SESSION = """
WITH dead AS (DELETE FROM agent_sessions WHERE agent_id = $2 AND expires_at <= $4)
INSERT INTO agent_sessions (id, agent_id, refresh_hash, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5)
"""


async def insert_session(
    connection: Connection,
    id: UUID,
    agent_id: UUID,
    refresh_hash: bytes,
    now: datetime,
    expires_at: datetime,
) -> None:
    await connection.execute(INSERT_SESSION, id, agent_id, refresh_hash, now, expires_at)


FIND_SESSION = f"""
SELECT {AGENT_COLUMNS}, agent_sessions.id AS session_id, agent_sessions.refresh_hash
FROM agent_sessions JOIN agents ON agents.id = agent_sessions.agent_id
WHERE agent_sessions.id = $1 AND revoked_at IS NULL AND expires_at > $2 AND is_active
"""


async def find_session(connection: Connection, id: UUID, now: datetime) -> Session | None:
    """None when unknown, revoked or expired, or when its agent is no longer active."""
    row = await connection.fetchrow(FIND_SESSION, id, now)
    if row is None:
        return None
    return Session(id=row["session_id"], agent=agent_of(row), refresh_hash=row["refresh_hash"])


ROTATE_SESSION = """
UPDATE agent_sessions SET refresh_hash = $3, generation = generation + 1, expires_at = $4
WHERE id = $1 AND refresh_hash = $2 AND revoked_at IS NULL
RETURNING generation
"""


async def rotate_session(
    connection: Connection, id: UUID, old_hash: bytes, new_hash: bytes, expires_at: datetime
) -> bool:
    """False when another refresh came first or the session was revoked."""
    generation = await connection.fetchval(ROTATE_SESSION, id, old_hash, new_hash, expires_at)
    return generation is not None


REVOKE_SESSION = """
UPDATE agent_sessions SET revoked_at = $2, revoked_reason = $3
WHERE id = $1 AND revoked_at IS NULL
"""


async def revoke_session(
    connection: Connection, id: UUID, now: datetime, reason: RevokedReason
) -> None:
    await connection.execute(REVOKE_SESSION, id, now, reason)


ENDED_SESSIONS = """
SELECT asked.id FROM unnest($1::uuid[]) AS asked (id)
WHERE NOT EXISTS (
    SELECT FROM agent_sessions JOIN agents ON agents.id = agent_sessions.agent_id
    WHERE agent_sessions.id = asked.id AND revoked_at IS NULL AND expires_at > $2 AND is_active
)
"""


async def ended_sessions(
    connection: Connection, ids: Collection[UUID], now: datetime
) -> frozenset[UUID]:
    """Those of the sessions that `find_session` would not find."""
    rows = await connection.fetch(ENDED_SESSIONS, list(ids), now)
    return frozenset(row["id"] for row in rows)


# An attempt counts as a failure until it is known to have succeeded: guesses sent all at once
# find the count already raised.
COUNT_ATTEMPT = """
INSERT INTO sign_in_attempts AS known (kind, key, failures, counted_since)
VALUES ($1, lower($2), 1, $3)
ON CONFLICT (kind, key) DO UPDATE SET
    failures = CASE WHEN known.counted_since <= $4 THEN 1 ELSE known.failures + 1 END,
    counted_since = CASE WHEN known.counted_since <= $4 THEN $3 ELSE known.counted_since END,
    locked_until = CASE
        WHEN known.counted_since > $4 AND known.failures + 1 >= $5 THEN $6::timestamptz
    END
WHERE known.locked_until IS NULL OR known.locked_until <= $3
RETURNING failures
"""


async def count_attempt(
    connection: Connection,
    kind: AttemptKind,
    key: str,
    *,
    now: datetime,
    since: datetime,
    limit: int,
    lock_until: datetime,
) -> bool:
    """Count one more; False, and nothing counted, while the key is locked."""
    failures = await connection.fetchval(COUNT_ATTEMPT, kind, key, now, since, limit, lock_until)
    return failures is not None


LOCKED_UNTIL = "SELECT locked_until FROM sign_in_attempts WHERE kind = $1 AND key = lower($2)"


async def locked_until(connection: Connection, kind: AttemptKind, key: str) -> datetime | None:
    until: datetime | None = await connection.fetchval(LOCKED_UNTIL, kind, key)
    return until


TAKE_ATTEMPT_BACK = """
UPDATE sign_in_attempts SET failures = greatest(failures - 1, 0), locked_until = NULL
WHERE kind = $1 AND key = lower($2)
"""


async def take_attempt_back(connection: Connection, kind: AttemptKind, key: str) -> None:
    """The attempt counted before was no failure."""
    await connection.execute(TAKE_ATTEMPT_BACK, kind, key)


FORGET_ATTEMPTS = "DELETE FROM sign_in_attempts WHERE kind = $1 AND key = lower($2)"


async def forget_attempts(connection: Connection, kind: AttemptKind, key: str) -> None:
    await connection.execute(FORGET_ATTEMPTS, kind, key)


# A few at a time and never one that another sign-in holds, so that nobody waits for it.
SWEEP_ATTEMPTS = """
DELETE FROM sign_in_attempts WHERE (kind, key) IN (
    SELECT kind, key FROM sign_in_attempts WHERE counted_since < $1
    ORDER BY counted_since LIMIT 20 FOR UPDATE SKIP LOCKED
)
"""


async def sweep_attempts(connection: Connection, before: datetime) -> None:
    await connection.execute(SWEEP_ATTEMPTS, before)


USE_LINK = """
UPDATE sign_in_links SET used_at = $2
WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2
RETURNING agent_id
"""


async def use_link(connection: Connection, token_hash: bytes, now: datetime) -> UUID | None:
    """Whose link it was; None when unknown, used or expired."""
    agent_id: UUID | None = await connection.fetchval(USE_LINK, token_hash, now)
    return agent_id


KEEP_SECRET = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
READ_SECRET = "SELECT value FROM secrets WHERE name = $1"


async def keep_secret(connection: Connection, name: str, proposed: str) -> str:
    """The secret of this name: the one kept before, else `proposed`, from now on."""
    await connection.execute(KEEP_SECRET, name, proposed)
    value: str = await connection.fetchval(READ_SECRET, name)
    return value


FIND_AGENT = f"""
SELECT {AGENT_COLUMNS} FROM agents WHERE id = $1 AND is_active
"""


async def find_agent(connection: Connection, agent_id: UUID) -> Agent | None:
    row = await connection.fetchrow(FIND_AGENT, agent_id)
    return None if row is None else agent_of(row)


SAVE_STATUS = """
WITH old AS (SELECT id, name, status, status_note FROM agents WHERE id = $1 FOR UPDATE)
UPDATE agents SET status = $2, status_note = $3 FROM old WHERE agents.id = old.id
RETURNING old.name, old.status, old.status_note
"""


class StatusBefore(Struct, frozen=True):
    """Whose status it was, and what."""

    name: str
    status: AgentStatusName
    status_note: str | None


async def save_status(
    connection: Connection, agent_id: UUID, status: AgentStatusName, note: str | None
) -> StatusBefore | None:
    """None for an unknown agent."""
    row = await connection.fetchrow(SAVE_STATUS, agent_id, status, note)
    return None if row is None else StatusBefore(**dict(row))
