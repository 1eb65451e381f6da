"""What agents do with their own account: read and change it, sign out, change the password.

Whoever holds a stolen session could guess the password here, so wrong ones count as at sign-in.
"""

import hmac
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from kefu.agents import store as sign_in_store
from kefu.agents.attempts import Attempts
from kefu.agents.passwords import require_good
from kefu.agents.staff import store
from kefu.agents.staff.ports import World
from kefu.agents.staff.roster import difference, with_fields
from kefu.agents.tokens import AgentIdentity
from kefu.audit.messages import Act, By
from kefu.errors import Problem
from kefu.storage.database import connected, transaction
from protocol.accounts import Agent
from protocol.codes import ErrorCode

_WRONG = "The old password is wrong."
_SAME = "The new password is the old one."


class OwnAccount:
    def __init__(self, world: World) -> None:
        self._world = world
        self._attempts = Attempts(world.clock)

    async def read(self, agent_id: UUID) -> Agent:
        """Raises `Problem(UNAUTHORIZED)` for an agent deactivated meanwhile."""
        async with connected(self._world.pool) as connection:
            return _still_here(await sign_in_store.find_agent(connection, agent_id))

    async def change(self, by: By, agent_id: UUID, fields: Mapping[str, Any]) -> Agent:
        """Set one's own name or avatar_url. Raises `Problem(NO_FIELDS_TO_UPDATE)`."""
        if not fields:
            raise Problem(ErrorCode.NO_FIELDS_TO_UPDATE)
        async with transaction(self._world.pool) as connection:
            before = _still_here(await store.lock_by_id(connection, agent_id))
            after = with_fields(before, fields)
            old, new = difference(before, after)
            if new:
                await store.save_agent(connection, after)
                act = Act(by, "agent.profile_changed", "agent", str(agent_id), old, new)
                await self._world.trail.append(connection, act)
        if new:
            self._world.on_changed(after.id)
        return after

    async def sign_out(self, by: By, session_id: UUID) -> None:
        """End the session one is in: its tokens count no more, its sockets close."""
        async with transaction(self._world.pool) as connection:
            now = self._world.clock.now()
            await sign_in_store.revoke_session(connection, session_id, now, "signed_out")
            act = Act(by, "agent.signed_out", "session", str(session_id))
            await self._world.trail.append(connection, act)
        self._world.on_signed_out(session_id)

    async def change_password(
        self, by: By, identity: AgentIdentity, old: str | None, new: str
    ) -> None:
        """Give oneself a new password; one's other sessions end.

        Raises `Problem`: INVALID_MESSAGE for a wrong old or a bad new one, RATE_LIMITED.
        """
        checked = await self._checked_hash(identity, old)
        require_good(new, identity.username, field="new_password")
        if old is not None and hmac.compare_digest(old.encode(), new.encode()):
            raise Problem(ErrorCode.INVALID_MESSAGE, _SAME, fields={"new_password": _SAME})
        hashed = await self._world.passwords.hash(new)
        agent_id, session_id = identity.agent_id, identity.session_id
        async with transaction(self._world.pool) as connection:
            if not await sign_in_store.lock_credentials(connection, agent_id, checked):
                raise _wrong()  # changed while it was checked
            await store.save_password(connection, agent_id, hashed)
            await sign_in_store.forget_attempts(connection, "username", identity.username)
            ended = await store.revoke_sessions(
                connection, agent_id, self._world.clock.now(), "password_changed", but=session_id
            )
            act = Act(by, "agent.password_changed", "agent", str(agent_id))
            await self._world.trail.append(connection, act)
        for each in ended:
            self._world.on_signed_out(each)

    async def _checked_hash(self, identity: AgentIdentity, old: str | None) -> str | None:
        """The hash that `old` belongs to; None for an agent without a password."""
        async with connected(self._world.pool) as connection:
            known = await store.credentials_by_id(connection, identity.agent_id)
            if known is None:
                raise Problem(ErrorCode.UNAUTHORIZED)
            if known.password_hash is None:
                return None
            await self._attempts.count(connection, "username", identity.username)
        if not await self._world.passwords.matches(old or "", known.password_hash):
            raise _wrong()
        return known.password_hash


def _still_here(agent: Agent | None) -> Agent:
    if agent is None or not agent.is_active:
        raise Problem(ErrorCode.UNAUTHORIZED)
    return agent


def _wrong() -> Problem:
    return Problem(ErrorCode.INVALID_MESSAGE, _WRONG, fields={"old_password": _WRONG})
