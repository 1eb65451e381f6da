"""Agents' accounts: making them, signing in and out, and staying signed in.

An unknown name, a wrong password and a deactivated agent get the same answer after the same work.
A refresh token is good once: seen again after it was exchanged, it has been copied, and the whole
session ends. Two exchanges that overlap are no theft: one wins, the other is refused.
"""

import hashlib
import hmac
import ipaddress
import logging
import math
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from kefu.agents import store
from kefu.agents.passwords import Passwords, require_good
from kefu.agents.tokens import REFRESH_TOKEN_S, AgentIdentity, CustomerIdentity, Tokens
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.secret import Secret
from kefu.storage.database import Connection, DatabasePool, connected, transaction
from protocol.accounts import Agent, NewAgent, SignedIn
from protocol.codes import ErrorCode

LOCK: Final = timedelta(minutes=15)
LINK_LIFE: Final = timedelta(minutes=15)
# Failures within LOCK of the first; the limit-th one locks for as long again.
FAILURES_PER_USERNAME: Final = 5
FAILURES_PER_ADDRESS: Final = 20
LIST_LIMIT: Final = 200

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
    """Every way in for an agent."""

    def __init__(
        self,
        pool: DatabasePool,
        tokens: Tokens,
        passwords: Passwords,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._passwords = passwords
        self._clock = clock
        self._entropy = entropy

    async def create(
        self,
        username: str,
        name: str,
        role: str = "agent",
        password: str | None = None,
        max_sessions: int = 5,
    ) -> Agent:
        """Make an account; without a password it is entered by link.

        Raises `Problem`: INVALID_MESSAGE for a bad field, UNPROCESSABLE for a name that is taken.
        """
        new = _new_agent(username, name, role, max_sessions)
        hashed = None
        if password is not None:
            require_good(password, username)
            hashed = await self._passwords.hash(password)
        async with connected(self._pool) as connection:
            agent = await store.insert_agent(
                connection, self._entropy.uuid(), new, hashed, self._clock.now()
            )
        if agent is None:
            raise Problem(ErrorCode.UNPROCESSABLE, "There is an agent of this username already.")
        return agent

    async def list(self, *, after: str = "", limit: int = LIST_LIMIT) -> tuple[Agent, ...]:
        """Agents by username, at most `limit`, beginning behind the username `after`."""
        async with connected(self._pool) as connection:
            return await store.list_agents(connection, after, min(limit, LIST_LIMIT))

    async def sign_in(self, username: str, password: str, address: str) -> SignedIn:
        """Raises `Problem`: UNAUTHORIZED, or RATE_LIMITED while the name or address is locked."""
        place = _network(address)
        async with connected(self._pool) as connection:
            await self._count_attempt(connection, "address", place)
            await self._count_attempt(connection, "username", username)
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
            await store.take_attempt_back(connection, "address", place)
            await store.forget_attempts(connection, "username", username)
            if upgraded is not None:
                await store.upgrade_password_hash(connection, known.agent.id, hashed, upgraded)
            return await self._open_session(connection, known.agent.id, _WRONG)

    async def make_link(self, username: str) -> str:
        """A token that signs this agent in once, within 15 minutes; older ones end.

        Raises `Problem(AGENT_NOT_FOUND)`.
        """
        link = self._entropy.token(32)
        async with connected(self._pool) as connection:
            known = await store.find_credentials(connection, username)
            if known is None:
                raise Problem(ErrorCode.AGENT_NOT_FOUND, "There is no active agent of this name.")
            expires_at = self._clock.now() + LINK_LIFE
            await store.replace_link(connection, _sha256(link), known.agent.id, expires_at)
        return link

    async def redeem_link(self, link: str) -> SignedIn:
        """Sign in with what `make_link` gave. Raises `Problem(UNAUTHORIZED)`."""
        async with transaction(self._pool) as connection:
            agent_id = await store.use_link(connection, _sha256(link), self._clock.now())
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
                raise Problem(ErrorCode.UNAUTHORIZED)
            has_won = await store.rotate_session(
                connection, session_id, old_hash, _sha256(renewed), _refresh_end(now)
            )
            if not has_won:
                raise Problem(ErrorCode.UNAUTHORIZED)
        return self._signed_in(session.agent, session_id, renewed)

    async def sign_out(self, session_id: UUID) -> None:
        """End a session: its tokens count no more. Ending it again does nothing."""
        async with connected(self._pool) as connection:
            await store.revoke_session(connection, session_id, self._clock.now(), "signed_out")

    async def is_revoked(self, session_id: UUID) -> bool:
        """Whether a session has ended, for whatever reason; an unknown one has."""
        return await self._session(session_id) is None

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

    async def profile(self, token: str) -> Agent:
        """The account behind an agent's token. Raises `Problem(UNAUTHORIZED)`."""
        claimed = self._tokens.verify(token)
        if isinstance(claimed, CustomerIdentity):
            raise Problem(ErrorCode.UNAUTHORIZED)
        return await self._live_agent(claimed)

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

    async def _count_attempt(
        self, connection: Connection, kind: store.AttemptKind, key: str
    ) -> None:
        now = self._clock.now()
        limit = FAILURES_PER_USERNAME if kind == "username" else FAILURES_PER_ADDRESS
        await store.sweep_attempts(connection, now - 2 * LOCK)
        if await store.count_attempt(
            connection, kind, key, now=now, since=now - LOCK, limit=limit, lock_until=now + LOCK
        ):
            return
        until = await store.locked_until(connection, kind, key)
        left_s = max(1, math.ceil((until - now).total_seconds())) if until is not None else 1
        raise Problem(
            ErrorCode.RATE_LIMITED,
            f"Too many failed sign-ins; please try again in about {math.ceil(left_s / 60)} min.",
            retry_after_s=left_s,
        )

    async def _take_back(self, username: str, place: str) -> None:
        async with connected(self._pool) as connection:
            await store.take_attempt_back(connection, "address", place)
            await store.take_attempt_back(connection, "username", username)


def _new_agent(username: str, name: str, role: str, max_sessions: int) -> NewAgent:
    fields = {
        "username": username,
        "name": name.strip(),
        "role": role,
        "max_sessions": max_sessions,
    }
    try:
        new = msgspec.convert(fields, NewAgent)
    except msgspec.ValidationError as error:
        raise Problem(ErrorCode.INVALID_MESSAGE, str(error)) from None
    if not username.isprintable() or any(c.isspace() for c in username):
        raise Problem(ErrorCode.INVALID_MESSAGE, "A username has no spaces.")
    return new


def _as_of_now(claimed: AgentIdentity, agent: Agent) -> AgentIdentity:
    """A role taken away counts at once, not when the token expires."""
    return msgspec.structs.replace(
        claimed, username=agent.username, name=agent.name, role=agent.role
    )


def _network(address: str) -> str:
    """One household's addresses as one: an IPv6 subscriber has a whole /64 to try from."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _refresh_end(now: datetime) -> datetime:
    return now + timedelta(seconds=REFRESH_TOKEN_S)
