"""Agents' desks as PostgreSQL knows them."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from kefu.agents import store
from kefu.agents.state import Desk
from kefu.audit.messages import Act, By, Trail
from kefu.storage.database import DatabasePool, connected, transaction
from protocol.agent import AgentStatusName


class PostgresDesks:
    """`active_chats` reads which chats an agent is in charge of: chat id to customer id."""

    def __init__(
        self,
        pool: DatabasePool,
        active_chats: Callable[[UUID], Awaitable[dict[UUID, UUID]]],
        trail: Trail,
    ) -> None:
        self._pool = pool
        self._trail = trail
        self._active_chats = active_chats

    async def load(self, agent_id: UUID) -> Desk | None:
        async with connected(self._pool) as connection:
            agent = await store.find_agent(connection, agent_id)
        if agent is None:
            return None
        return Desk(
            agent_id=agent.id,
            name=agent.name,
            avatar_url=agent.avatar_url,
            max_sessions=agent.max_sessions,
            chosen=agent.status,
            status_note=agent.status_note,
            team_ids=agent.team_ids,
            active=await self._active_chats(agent_id),
        )

    async def save_status(self, agent_id: UUID, status: AgentStatusName, note: str | None) -> None:
        async with transaction(self._pool) as connection:
            was = await store.save_status(connection, agent_id, status, note)
            if was is None:
                return
            act = Act(
                By("agent", agent_id, was.name),
                "agent.status_chosen",
                "agent",
                str(agent_id),
                {"status": was.status},
                {"status": status},
            )
            await self._trail.append(connection, act)
