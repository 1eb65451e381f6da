"""Figures of the last while: how many sessions, why humans were called, how bot and agents did.

What is averaged is in seconds. An agent's first response counts from the moment the customer asked
for a human, a duration from the moment the agent took the chat until it left them.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from kefu.storage.database import DatabasePool, connected


class BotCounts(Struct, frozen=True):
    """`by_outcome`: see bot/messages.py. Sessions are those in which the bot answered."""

    by_outcome: dict[str, int]
    sessions: int
    handed_over: int


class AgentCounts(Struct, frozen=True):
    agent_id: UUID
    name: str | None
    active: int
    taken: int
    wait_s: float | None
    first_response_s: float | None
    duration_s: float | None


class Counts(Struct, frozen=True):
    """`by_status` are the open ones of now, and what ended of those that began since then."""

    by_status: dict[str, int]
    by_reason: dict[str, int]
    bot: BotCounts
    agents: tuple[AgentCounts, ...]


BY_STATUS: Final = """
SELECT status, count(*) AS count FROM chats
WHERE status <> 'ended' OR (status = 'ended' AND started_at >= $1) GROUP BY status
"""
BY_REASON: Final = """
SELECT coalesce(reason, 'manual') AS reason, count(*) AS count FROM chat_events
WHERE kind = 'HumanCalled' AND created_at >= $1 AND by_type <> 'agent' GROUP BY 1
"""
BY_OUTCOME: Final = """
SELECT coalesce(body->>'outcome', 'answered') AS outcome, count(*) AS count FROM chat_events
WHERE kind = 'BotAnswered' AND created_at >= $1 GROUP BY 1
"""
BOT_SESSIONS: Final = """
SELECT count(*) AS sessions, count(*) FILTER (WHERE EXISTS (
    SELECT FROM chat_events t WHERE t.chat_id = bot.chat_id AND t.kind = 'Taken'
)) AS handed_over
FROM (
    SELECT DISTINCT chat_id FROM chat_events WHERE kind = 'BotAnswered' AND created_at >= $1
) AS bot
"""
AGENTS: Final = """
WITH taken AS (
    SELECT chat_id, log_id, kind, created_at AS at, (body->>'agent_id')::uuid AS agent_id,
           by_id, by_name
    FROM chat_events WHERE kind IN ('Taken', 'Transferred') AND created_at >= $1
), times AS (
    SELECT t.agent_id, CASE WHEN t.by_id = t.agent_id THEN t.by_name END AS name,
           CASE WHEN t.kind = 'Taken' THEN t.at - called.at END AS wait,
           CASE WHEN t.kind = 'Taken' THEN spoke.at - called.at END AS first_response,
           gone.at - t.at AS duration
    FROM taken t
    LEFT JOIN LATERAL (
        SELECT created_at AS at FROM chat_events e
        WHERE e.chat_id = t.chat_id AND e.log_id BETWEEN 1 AND t.log_id - 1
          AND e.to_phase = 'pending_manual'
        ORDER BY e.log_id DESC LIMIT 1
    ) called ON true
    LEFT JOIN LATERAL (
        SELECT created_at AS at FROM chat_messages m
        WHERE m.chat_id = t.chat_id AND m.sender_id = t.agent_id AND m.created_at >= t.at
        ORDER BY m.seq LIMIT 1
    ) spoke ON true
    LEFT JOIN LATERAL (
        SELECT created_at AS at FROM chat_events e
        WHERE e.chat_id = t.chat_id AND e.log_id > t.log_id
          AND (e.from_phase = 'manual_live' OR e.kind = 'Transferred')
        ORDER BY e.log_id LIMIT 1
    ) gone ON true
), done AS (
    SELECT agent_id, max(name) AS name, count(*) AS taken,
           extract(epoch FROM avg(wait))::float8 AS wait_s,
           extract(epoch FROM avg(first_response))::float8 AS first_response_s,
           extract(epoch FROM avg(duration))::float8 AS duration_s
    FROM times WHERE agent_id IS NOT NULL GROUP BY agent_id
), busy AS (
    SELECT agent_id, max(agent_name) AS name, count(*) AS active
    FROM chats WHERE status = 'active' GROUP BY agent_id
)
SELECT coalesce(done.agent_id, busy.agent_id) AS agent_id, coalesce(busy.name, done.name) AS name,
       coalesce(busy.active, 0) AS active, coalesce(done.taken, 0) AS taken,
       done.wait_s, done.first_response_s, done.duration_s
FROM done FULL JOIN busy ON busy.agent_id = done.agent_id
ORDER BY taken DESC, agent_id LIMIT 200
"""


class PostgresFigures:
    def __init__(self, pool: DatabasePool) -> None:
        self._pool = pool

    async def since(self, since: datetime) -> Counts:
        """All of it. Raises StoreUnavailable."""
        async with connected(self._pool) as connection:
            statuses = await connection.fetch(BY_STATUS, since)
            reasons = await connection.fetch(BY_REASON, since)
            outcomes = await connection.fetch(BY_OUTCOME, since)
            bot = await connection.fetchrow(BOT_SESSIONS, since)
            agents = await connection.fetch(AGENTS, since)
        assert bot is not None
        return Counts(
            by_status={r["status"]: r["count"] for r in statuses},
            by_reason={r["reason"]: r["count"] for r in reasons},
            bot=BotCounts({r["outcome"]: r["count"] for r in outcomes}, **dict(bot)),
            agents=tuple(AgentCounts(**dict(r)) for r in agents),
        )
