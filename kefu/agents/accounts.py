"""Every way in for an agent, and staying signed in.

An unknown name, a wrong password and a deactivated agent get the same answer after the same work.
A refresh token is good once: seen again after it was exchanged, it has been copied, and the whole
session ends. Two exchanges that overlap are no theft: one wins, the other is refused.
"""

import hashlib
import hmac
import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from kefu.agents import store
from kefu.agents.attempts import Attempts, household
from kefu.agents.passwords import Passwords
from kefu.agents.staff.roster import link_hash
from kefu.agents.tokens import REFRESH_TOKEN_S, AgentIdentity, CustomerIdentity, Tokens
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.secret import Secret
from kefu.storage.database import Connection, DatabasePool, connected, transaction
from protocol.accounts import Agent, SignedIn
from protocol.codes import ErrorCode

_WRONG: Final = "The username or the password is wrong."
_LINK_SPENT: Final = "This sign-in link has been used or has expired; ask for a new one."
_log = logging.getLogger("kefu.agents")


class Keys(Struct, frozen=True):
    """What tokens are signed with: the shop's secret and kefu's own."""

    shop_secret: Secret
    own_key: Secret


async def ensure_secrets(pool: DatabasePool, entropy: Entropy, shop_secret: Secret | None) -> Keys:
    """The keys of this installation; those not given are made once and kept in PostgreSQL."""
    async with connected(pool) as connection:
        own_key = await store.keep_secret(connection, "own_key", entropy.token(48))
        if shop_secret is None:
            kept = await store.keep_secret(connection, "shop_secret", entropy.token(48))
            shop_secret = Secret(kept)
    return Keys(shop_secret=shop_secret, own_key=Secret(own_key))


class Accounts:
    """`on_signed_out` is told every session that ends here, after it is durable."""

    def __init__(
        self,
        pool: DatabasePool,
        tokens: Tokens,
        passwords: Passwords,
        clock: Clock,
        entropy: Entropy,
        *,
        on_signed_out: Callable[[UUID], None] = lambda _session_id: None,
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._passwords = passwords
        self._clock = clock
        self._entropy = entropy
        self._attempts = Attempts(clock)
        self._on_signed_out = on_signed_out

    async def sign_in(self, username: str, password: str, address: str) -> SignedIn:
        """Raises `Problem`: UNAUTHORIZED, or RATE_LIMITED while the name or address is locked."""
        place = household(address)
        async with connected(self._pool) as connection:
            await self._attempts.count(connection, "address", place)
            await self._attempts.count(connection, "username", username)
            known = await store.find_credentials(connection, username)
        hashed = None if known is None else known.password_hash
        try:
            is_right = await self._passwords.matches(password, hashed)
            if known is None or hashed is None or not is_right:
                raise Problem(ErrorCode.UNAUTHORIZED, _WRONG)
            upgraded = await self._passwords.upgraded(password, hashed)
        except Problem as problem:
            if problem.code == ErrorCode.OVERLOADED:
                await self._take_back(username, place)
            raise
        async with transaction(self._pool) as connection:
            if not await store.lock_credentials(connection, known.agent.id, hashed):
                raise Problem(ErrorCode.UNAUTHORIZED, _WRONG)  # changed while it was checked
            await store.take_attempt_back(connection, "address", place)
            await store.forget_attempts(connection, "username", username)
            if upgraded is not None:
                await store.upgrade_password_hash(connection, known.agent.id, hashed, upgraded)
            return await self._open_session(connection, known.agent.id, _WRONG)

    async def redeem_link(self, link: str) -> SignedIn:
        """Sign in with what `make_link` gave. Raises `Problem(UNAUTHORIZED)`."""
        async with transaction(self._pool) as connection:
            agent_id = await store.use_link(connection, link_hash(link), self._clock.now())
            if agent_id is None:
                raise Problem(ErrorCode.UNAUTHORIZED, _LINK_SPENT)
            return await self._open_session(connection, agent_id, _LINK_SPENT)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """Exchange a refresh token for a new pair. Raises `Problem(UNAUTHORIZED)`."""
        session_id = self._tokens.read_refresh(refresh_token)
        now = self._clock.now()
        old_hash = _sha256(refresh_token)
        renewed = self._tokens.refresh(session_id, self._entropy.token(32))
        async with connected(self._pool) as connection:
            session = await store.find_session(connection, session_id, now)
            if session is None:
                raise Problem(ErrorCode.UNAUTHORIZED)
            if not hmac.compare_digest(session.refresh_hash, old_hash):
                await store.revoke_session(connection, session_id, now, "reused")
                _log.warning("refresh_token_reused", extra={"agent_id": str(session.agent.id)})
                self._on_signed_out(session_id)
                raise Problem(ErrorCode.UNAUTHORIZED)
            has_won = await store.rotate_session(
                connection, session_id, old_hash, _sha256(renewed), _refresh_end(now)
            )
            if not has_won:
                raise Problem(ErrorCode.UNAUTHORIZED)
        return self._signed_in(session.agent, session_id, renewed)

    async def ended(self, session_ids: Collection[UUID]) -> frozenset[UUID]:
        """Those of the sessions that are over, wherever and however they were ended."""
        if not session_ids:
            return frozenset()
        async with connected(self._pool) as connection:
            return await store.ended_sessions(connection, session_ids, self._clock.now())

    async def identify(self, token: str) -> CustomerIdentity | AgentIdentity:
        """Who comes with this token; an agent's session must not have ended.

        Raises `Problem(UNAUTHORIZED)`.
        """
        claimed = self._tokens.verify(token)
        if isinstance(claimed, CustomerIdentity):
            return claimed
        return _as_of_now(claimed, await self._live_agent(claimed))

    async def authenticate(self, token: str) -> AgentIdentity:
        """As `identify`, for agents only: a customer's token is UNAUTHORIZED here."""
        identity = await self.identify(token)
        if isinstance(identity, CustomerIdentity):
            raise Problem(ErrorCode.UNAUTHORIZED)
        return identity

    async def _live_agent(self, claimed: AgentIdentity) -> Agent:
        session = await self._session(claimed.session_id)
        if session is None:
            raise Problem(ErrorCode.UNAUTHORIZED)
        return session.agent

    async def _session(self, session_id: UUID) -> store.Session | None:
        async with connected(self._pool) as connection:
            return await store.find_session(connection, session_id, self._clock.now())

    async def _open_session(self, connection: Connection, agent_id: UUID, refusal: str) -> SignedIn:
        now = self._clock.now()
        agent = await store.note_sign_in(connection, agent_id, now)
        if agent is None:
            raise Problem(ErrorCode.UNAUTHORIZED, refusal)
        session_id = self._entropy.uuid()
        renewal = self._tokens.refresh(session_id, self._entropy.token(32))
        await store.insert_session(
            connection, session_id, agent_id, _sha256(renewal), now, _refresh_end(now)
        )
        return self._signed_in(agent, session_id, renewal)

    def _signed_in(self, agent: Agent, session_id: UUID, refresh_token: str) -> SignedIn:
        access = self._tokens.agent_access(agent, session_id)
        return SignedIn(token=access, refresh_token=refresh_token, agent=agent)

    async def _take_back(self, username: str, place: str) -> None:
        async with connected(self._pool) as connection:
            await store.take_attempt_back(connection, "address", place)
            await store.take_attempt_back(connection, "username", username)


def _as_of_now(claimed: AgentIdentity, agent: Agent) -> AgentIdentity:
    """A role taken away counts at once, not when the token expires."""
    return msgspec.structs.replace(
        claimed, username=agent.username, name=agent.name, role=agent.role
    )


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _refresh_end(now: datetime) -> datetime:
    return now + timedelta(seconds=REFRESH_TOKEN_S)
