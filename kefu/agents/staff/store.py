"""The SQL of colleagues and teams: each statement with the one function that runs it.

Rows are locked in one order, administrators by id before the agent who is changed, so that two
changes at once wait for each other and never for ever.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from kefu.agents.store import AGENT_COLUMNS, Credentials, RevokedReason, agent_of
from kefu.storage.database import Connection
from protocol.accounts import Agent
from protocol.staff import NewAgent, Team

INSERT_AGENT = f"""
INSERT INTO agents (id, username, name, role, max_sessions, password_hash, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (lower(username)) DO NOTHING
RETURNING {AGENT_COLUMNS}
"""


async def insert_agent(
    connection: Connection, id: UUID, new: NewAgent, password_hash: str | None, now: datetime
) -> Agent | None:
    """None when the username is taken."""
    row = await connection.fetchrow(
        INSERT_AGENT,
        id,
        new.username,
        new.name,
        new.role,
        new.max_sessions,
        password_hash,
        now,
    )
    return None if row is None else agent_of(row)


LIST_AGENTS = f"""
SELECT {AGENT_COLUMNS} FROM agents
WHERE lower(username) > lower($1)
ORDER BY lower(username)
LIMIT $2
"""


async def list_agents(connection: Connection, after: str, limit: int) -> tuple[Agent, ...]:
    return tuple(agent_of(row) for row in await connection.fetch(LIST_AGENTS, after, limit))


LOCK_ADMINS = """
SELECT id FROM agents WHERE role = 'admin' AND is_active ORDER BY id FOR UPDATE
"""


async def lock_admins(connection: Connection) -> frozenset[UUID]:
    """The active administrators, who stay so until the transaction ends."""
    return frozenset(row["id"] for row in await connection.fetch(LOCK_ADMINS))


LOCK_BY_USERNAME = f"""
SELECT {AGENT_COLUMNS} FROM agents WHERE lower(username) = lower($1) FOR UPDATE
"""


async def lock_by_username(connection: Connection, username: str) -> Agent | None:
    row = await connection.fetchrow(LOCK_BY_USERNAME, username)
    return None if row is None else agent_of(row)


LOCK_BY_ID = f"SELECT {AGENT_COLUMNS} FROM agents WHERE id = $1 FOR UPDATE"


async def lock_by_id(connection: Connection, agent_id: UUID) -> Agent | None:
    row = await connection.fetchrow(LOCK_BY_ID, agent_id)
    return None if row is None else agent_of(row)


AGENTS_OF = f"""
SELECT {AGENT_COLUMNS} FROM agents WHERE id = ANY($1) AND is_active ORDER BY lower(username)
"""


async def agents_of(connection: Connection, ids: Sequence[UUID]) -> tuple[Agent, ...]:
    """The active agents among them, by username."""
    return tuple(agent_of(row) for row in await connection.fetch(AGENTS_OF, ids))


SAVE_AGENT = """
UPDATE agents
SET name = $2, avatar_url = $3, role = $4, max_sessions = $5, is_active = $6, skills = $7
WHERE id = $1
"""


async def save_agent(connection: Connection, agent: Agent) -> None:
    """Keep what may be changed of an agent."""
    await connection.execute(
        SAVE_AGENT,
        agent.id,
        agent.name,
        agent.avatar_url,
        agent.role,
        agent.max_sessions,
        agent.is_active,
        agent.skills,
    )


CREDENTIALS_BY_ID = f"""
SELECT {AGENT_COLUMNS}, agents.password_hash FROM agents WHERE id = $1 AND is_active
"""


async def credentials_by_id(connection: Connection, agent_id: UUID) -> Credentials | None:
    row = await connection.fetchrow(CREDENTIALS_BY_ID, agent_id)
    return None if row is None else Credentials(agent_of(row), row["password_hash"])


SAVE_PASSWORD = """
WITH links AS (DELETE FROM sign_in_links WHERE agent_id = $1)
UPDATE agents SET password_hash = $2 WHERE id = $1
"""


async def save_password(connection: Connection, agent_id: UUID, password_hash: str | None) -> None:
    """Links that were open end with the old password."""
    await connection.execute(SAVE_PASSWORD, agent_id, password_hash)


# A new link replaces the agent's older ones.
REPLACE_LINK = """
WITH older AS (DELETE FROM sign_in_links WHERE agent_id = $2)
INSERT INTO sign_in_links (token_hash, agent_id, expires_at) VALUES ($1, $2, $3)
"""


async def replace_link(
    connection: Connection, token_hash: bytes, agent_id: UUID, expires_at: datetime
) -> None:
    await connection.execute(REPLACE_LINK, token_hash, agent_id, expires_at)


REVOKE_SESSIONS = """
UPDATE agent_sessions SET revoked_at = $2, revoked_reason = $3
WHERE agent_id = $1 AND revoked_at IS NULL AND id IS DISTINCT FROM $4
RETURNING id
"""


async def revoke_sessions(
    connection: Connection,
    agent_id: UUID,
    now: datetime,
    reason: RevokedReason,
    *,
    but: UUID | None = None,
) -> tuple[UUID, ...]:
    """End the agent's sessions except `but`; those that ended now."""
    rows = await connection.fetch(REVOKE_SESSIONS, agent_id, now, reason, but)
    return tuple(row["id"] for row in rows)


# --- teams ----------------------------------------------------------------------------------------

TEAM_COLUMNS = """
    teams.id, teams.name, teams.created_at,
    ARRAY(
        SELECT agent_id FROM team_members WHERE team_members.team_id = teams.id ORDER BY agent_id
    ) AS agent_ids
"""

LIST_TEAMS = f"SELECT {TEAM_COLUMNS} FROM teams ORDER BY lower(name) LIMIT $1"


async def list_teams(connection: Connection, limit: int) -> tuple[Team, ...]:
    return tuple(_team(row) for row in await connection.fetch(LIST_TEAMS, limit))


TEAM_IDS = "SELECT id FROM teams"


async def team_ids(connection: Connection) -> frozenset[UUID]:
    return frozenset(row["id"] for row in await connection.fetch(TEAM_IDS))


COUNT_TEAMS = "SELECT count(*) FROM teams"


async def count_teams(connection: Connection) -> int:
    return int(await connection.fetchval(COUNT_TEAMS))


INSERT_TEAM = f"""
INSERT INTO teams (id, name, created_at) VALUES ($1, $2, $3)
ON CONFLICT (lower(name)) DO NOTHING
RETURNING {TEAM_COLUMNS}
"""


async def insert_team(connection: Connection, id: UUID, name: str, now: datetime) -> Team | None:
    """None when the name is taken."""
    row = await connection.fetchrow(INSERT_TEAM, id, name, now)
    return None if row is None else _team(row)


LOCK_TEAM = f"SELECT {TEAM_COLUMNS} FROM teams WHERE id = $1 FOR UPDATE"


async def lock_team(connection: Connection, team_id: UUID) -> Team | None:
    row = await connection.fetchrow(LOCK_TEAM, team_id)
    return None if row is None else _team(row)


RENAME_TEAM = "UPDATE teams SET name = $2 WHERE id = $1"


async def rename_team(connection: Connection, team_id: UUID, name: str) -> bool:
    """False when the name is taken; the transaction can then only be rolled back."""
    try:
        await connection.execute(RENAME_TEAM, team_id, name)
    except asyncpg.UniqueViolationError:
        return False
    return True


DELETE_TEAM = "DELETE FROM teams WHERE id = $1"


async def delete_team(connection: Connection, team_id: UUID) -> None:
    await connection.execute(DELETE_TEAM, team_id)


SET_MEMBERS = """
WITH gone AS (DELETE FROM team_members WHERE team_id = $1 AND agent_id <> ALL($2))
INSERT INTO team_members (team_id, agent_id)
SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING
"""


async def set_members(connection: Connection, team_id: UUID, agent_ids: Sequence[UUID]) -> None:
    await connection.execute(SET_MEMBERS, team_id, agent_ids)


def _team(row: asyncpg.Record) -> Team:
    return Team(row["id"], row["name"], row["created_at"], tuple(row["agent_ids"]))
