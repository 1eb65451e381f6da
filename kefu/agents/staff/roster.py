"""Who works here: accounts made, changed, deactivated and listed by administrators.

The last active administrator can be neither demoted nor deactivated. A new role counts from the
next sign-in on: the agent's sessions end, because open sockets were let in with the old one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from kefu.agents.passwords import require_good
from kefu.agents.staff import store
from kefu.agents.staff.ports import World
from kefu.agents.store import RevokedReason
from kefu.audit.messages import Act, By
from kefu.errors import Problem
from kefu.storage.database import Connection, connected, transaction
from protocol.accounts import Agent
from protocol.codes import ErrorCode
from protocol.staff import AgentPage, NewAgent

LIST_LIMIT: Final = 200
LINK_LIFE: Final = timedelta(minutes=15)
LAST_ADMIN: Final = "kefu needs one active administrator; make another one first."
NAME_TAKEN: Final = "There is an agent of this username already."
_SEEN: Final = ("username", "name", "avatar_url", "role", "max_sessions", "is_active")


class Roster:
    def __init__(self, world: World) -> None:
        self._world = world

    async def create(
        self,
        by: By,
        username: str,
        name: str,
        role: str = "agent",
        password: str | None = None,
        max_sessions: int = 5,
    ) -> Agent:
        """Make an account; without a password it is entered by link.

        Raises `Problem`: INVALID_MESSAGE for a bad field, UNPROCESSABLE for a name that is taken.
        """
        new = new_agent(username, name, role, max_sessions)
        hashed = None
        if password is not None:
            require_good(password, username)
            hashed = await self._world.passwords.hash(password)
        now, agent_id = self._world.clock.now(), self._world.entropy.uuid()
        async with transaction(self._world.pool) as connection:
            agent = await store.insert_agent(connection, agent_id, new, hashed, now)
            if agent is None:
                raise Problem(ErrorCode.UNPROCESSABLE, NAME_TAKEN)
            seen = {field: getattr(agent, field) for field in _SEEN}
            await self._note(connection, by, "agent.created", agent, None, seen)
        return agent

    async def list(self, *, after: str = "", limit: int = LIST_LIMIT) -> AgentPage:
        """Accounts by username, at most `limit`, beginning behind the username `after`."""
        limit = min(limit, LIST_LIMIT)
        async with connected(self._world.pool) as connection:
            agents = await store.list_agents(connection, after, limit)
        return AgentPage(agents, None if len(agents) < limit else agents[-1].username)

    async def active(self, ids: Sequence[UUID]) -> tuple[Agent, ...]:
        """The active ones among them, by username."""
        async with connected(self._world.pool) as connection:
            return await store.agents_of(connection, ids)

    async def change(self, by: By, username: str, fields: Mapping[str, Any]) -> Agent:
        """Set the fields of an account: name, avatar_url, role, max_sessions, is_active.

        Raises `Problem`: AGENT_NOT_FOUND, NO_FIELDS_TO_UPDATE, UNPROCESSABLE for the last admin.
        """
        if not fields:
            raise Problem(ErrorCode.NO_FIELDS_TO_UPDATE)
        async with transaction(self._world.pool) as connection:
            admins = await store.lock_admins(connection)
            before = _known(await store.lock_by_username(connection, username))
            after = with_fields(before, fields)
            if admins == {before.id} and not (after.role == "admin" and after.is_active):
                raise Problem(ErrorCode.UNPROCESSABLE, LAST_ADMIN)
            ended = await self._end_sessions(connection, before, after)
            is_gone = before.is_active and not after.is_active
            action = "agent.deactivated" if is_gone else "agent.changed"
            await self._save(connection, by, action, before, after)
        self._tell(before, after, ended)
        return after

    async def set_skills(self, by: By, agent_id: UUID, skills: Sequence[str]) -> Agent:
        """All skills of an agent from now on. Raises `Problem(AGENT_NOT_FOUND)`."""
        trimmed = tuple(dict.fromkeys(skill.strip() for skill in skills))
        async with transaction(self._world.pool) as connection:
            before = _known(await store.lock_by_id(connection, agent_id))
            after = replace(before, skills=trimmed)
            await self._save(connection, by, "agent.skills_changed", before, after)
        self._tell(before, after, ())
        return after

    async def reset_password(self, by: By, username: str, password: str | None) -> Agent:
        """Give an account another password, or none: it is then entered by link.

        Its sessions and open links end. Raises `Problem`: AGENT_NOT_FOUND, INVALID_MESSAGE.
        """
        hashed = None
        if password is not None:
            require_good(password, username)
            hashed = await self._world.passwords.hash(password)
        async with transaction(self._world.pool) as connection:
            agent = _known(await store.lock_by_username(connection, username))
            await store.save_password(connection, agent.id, hashed)
            ended = await self._revoke(connection, agent.id, "password_reset")
            after = {"has_password": hashed is not None}
            await self._note(connection, by, "agent.password_reset", agent, None, after)
        self._tell(agent, agent, ended)
        return agent

    async def make_link(self, by: By, username: str) -> str:
        """A token that signs this agent in once, within 15 minutes; older ones end.

        Raises `Problem(AGENT_NOT_FOUND)`, for a deactivated agent too.
        """
        link = self._world.entropy.token(32)
        expires_at = self._world.clock.now() + LINK_LIFE
        async with transaction(self._world.pool) as connection:
            agent = await store.lock_by_username(connection, username)
            if agent is None or not agent.is_active:
                raise Problem(ErrorCode.AGENT_NOT_FOUND, "There is no active agent of this name.")
            await store.replace_link(connection, link_hash(link), agent.id, expires_at)
            await self._note(connection, by, "agent.link_made", agent, None, None)
        return link

    async def _end_sessions(
        self, connection: Connection, before: Agent, after: Agent
    ) -> tuple[UUID, ...]:
        if before.is_active and not after.is_active:
            return await self._revoke(connection, after.id, "deactivated")
        if before.role != after.role:
            return await self._revoke(connection, after.id, "role_changed")
        return ()

    async def _revoke(
        self, connection: Connection, agent_id: UUID, reason: RevokedReason
    ) -> tuple[UUID, ...]:
        now = self._world.clock.now()
        return await store.revoke_sessions(connection, agent_id, now, reason)

    async def _save(
        self, connection: Connection, by: By, action: str, before: Agent, after: Agent
    ) -> None:
        old, new = difference(before, after)
        if new:
            await store.save_agent(connection, after)
            await self._note(connection, by, action, after, old, new)

    async def _note(
        self,
        connection: Connection,
        by: By,
        action: str,
        agent: Agent,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
    ) -> None:
        act = Act(by, action, "agent", str(agent.id), before, after)
        await self._world.trail.append(connection, act)

    def _tell(self, before: Agent, after: Agent, ended: Sequence[UUID]) -> None:
        for session_id in ended:
            self._world.on_signed_out(session_id)
        if before != after:
            self._world.on_changed(after.id)


def link_hash(link: str) -> bytes:
    """What is kept of a link."""
    return hashlib.sha256(link.encode()).digest()


def new_agent(username: str, name: str, role: str, max_sessions: int) -> NewAgent:
    """Raises `Problem(INVALID_MESSAGE)` naming the field and the rule."""
    fields = {"username": username, "name": name.strip(), "role": role}
    try:
        new = msgspec.convert({**fields, "max_sessions": max_sessions}, NewAgent)
    except msgspec.ValidationError as error:
        raise Problem(ErrorCode.INVALID_MESSAGE, str(error)) from None
    if not username.isprintable() or any(c.isspace() or c == "/" for c in username):
        raise Problem(ErrorCode.INVALID_MESSAGE, "A username has no spaces and no slashes.")
    return new


def with_fields(agent: Agent, fields: Mapping[str, Any]) -> Agent:
    """The account with other fields; a name loses the space around it."""
    changed = replace(agent, **fields)
    return replace(changed, name=changed.name.strip())


def difference(before: Agent, after: Agent) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields in which two accounts differ, as they were and as they are."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    changed = [field for field in new if old[field] != new[field]]
    return {field: old[field] for field in changed}, {field: new[field] for field in changed}


def _known(agent: Agent | None) -> Agent:
    if agent is None:
        raise Problem(ErrorCode.AGENT_NOT_FOUND, "There is no such agent.")
    return agent
