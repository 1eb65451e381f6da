"""Teams: named groups of agents that chats can be handed to. A team may be empty."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from kefu.agents.staff import store
from kefu.agents.staff.ports import World
from kefu.audit.messages import Act, By
from kefu.errors import Problem
from kefu.storage.database import Connection, DatabasePool, connected, transaction
from protocol.codes import ErrorCode
from protocol.staff import Team

TEAM_LIMIT: Final = 200
NAME_TAKEN: Final = "There is a team of this name already."
NO_TEAM: Final = "There is no such team."


async def known_teams(pool: DatabasePool) -> frozenset[UUID]:
    """The ids of all teams. Raises StoreUnavailable."""
    async with connected(pool) as connection:
        return await store.team_ids(connection)


class Teams:
    def __init__(self, world: World) -> None:
        self._world = world

    async def list(self) -> tuple[Team, ...]:
        """All teams by name."""
        async with connected(self._world.pool) as connection:
            return await store.list_teams(connection, TEAM_LIMIT)

    async def create(self, by: By, name: str) -> Team:
        """Raises `Problem(UNPROCESSABLE)` for a name that is taken or one team too many."""
        now, team_id = self._world.clock.now(), self._world.entropy.uuid()
        async with transaction(self._world.pool) as connection:
            if await store.count_teams(connection) >= TEAM_LIMIT:
                raise Problem(ErrorCode.UNPROCESSABLE, f"There can be {TEAM_LIMIT} teams.")
            team = await store.insert_team(connection, team_id, name.strip(), now)
            if team is None:
                raise Problem(ErrorCode.UNPROCESSABLE, NAME_TAKEN)
            await self._note(connection, by, "team.created", team, None, {"name": team.name})
        return team

    async def rename(self, by: By, team_id: UUID, name: str) -> Team:
        """Raises `Problem`: AGENT_NOT_FOUND, UNPROCESSABLE for a name that is taken."""
        async with transaction(self._world.pool) as connection:
            before = await _locked(connection, team_id)
            after = replace(before, name=name.strip())
            if not await store.rename_team(connection, team_id, after.name):
                raise Problem(ErrorCode.UNPROCESSABLE, NAME_TAKEN)
            old, new = {"name": before.name}, {"name": after.name}
            await self._note(connection, by, "team.renamed", after, old, new)
        return after

    async def delete(self, by: By, team_id: UUID) -> None:
        """The agents stay. Raises `Problem(AGENT_NOT_FOUND)`."""
        async with transaction(self._world.pool) as connection:
            team = await _locked(connection, team_id)
            await store.delete_team(connection, team_id)
            old = {"name": team.name, "agent_ids": team.agent_ids}
            await self._note(connection, by, "team.deleted", team, old, None)
        self._tell(team.agent_ids)

    async def set_members(self, by: By, team_id: UUID, agent_ids: Sequence[UUID]) -> Team:
        """All members from now on. Raises `Problem(AGENT_NOT_FOUND)` for an unknown team or agent.

        Deactivated agents count as unknown.
        """
        wanted = tuple(sorted(set(agent_ids)))
        async with transaction(self._world.pool) as connection:
            before = await _locked(connection, team_id)
            known = await store.agents_of(connection, wanted)
            if len(known) != len(wanted):
                raise Problem(ErrorCode.AGENT_NOT_FOUND, "One of these agents does not exist.")
            await store.set_members(connection, team_id, wanted)
            after = replace(before, agent_ids=wanted)
            old, new = {"agent_ids": before.agent_ids}, {"agent_ids": wanted}
            await self._note(connection, by, "team.members_changed", after, old, new)
        self._tell(set(before.agent_ids) ^ set(wanted))
        return after

    def _tell(self, agent_ids: Iterable[UUID]) -> None:
        for agent_id in sorted(agent_ids):
            self._world.on_changed(agent_id)

    async def _note(
        self,
        connection: Connection,
        by: By,
        action: str,
        team: Team,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
    ) -> None:
        act = Act(by, action, "team", str(team.id), before, after)
        await self._world.trail.append(connection, act)


async def _locked(connection: Connection, team_id: UUID) -> Team:
    team = await store.lock_team(connection, team_id)
    if team is None:
        raise Problem(ErrorCode.AGENT_NOT_FOUND, NO_TEAM)
    return team
