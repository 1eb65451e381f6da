"""An office to sign in to: real PostgreSQL, a clock turned by hand, and counted password checks."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from argon2 import Parameters, Type, extract_parameters
from msgspec import structs
from starlette.routing import Route

from kefu.agents.accounts import Accounts
from kefu.agents.guard import Guard
from kefu.agents.passwords import Passwords
from kefu.agents.routes import own_routes, sign_in_routes
from kefu.agents.staff.own_account import OwnAccount
from kefu.agents.staff.ports import World
from kefu.agents.staff.roster import Roster
from kefu.agents.staff.routes import agent_routes, team_routes
from kefu.agents.staff.teams import Teams
from kefu.agents.tokens import Tokens
from kefu.audit.log import AuditLog
from kefu.audit.messages import SYSTEM
from kefu.audit.routes import routes as audit_routes
from kefu.errors import Problem
from kefu.secret import Secret
from kefu.storage.database import DatabasePool
from protocol.accounts import Agent, SignedIn
from protocol.agent import AgentStatusName
from protocol.audit import AuditEntry
from protocol.codes import ErrorCode
from protocol.server import AgentPresence
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy

SHOP = "the shop's own secret, 32 bytes or more"
OWN = "kefu's own signing key, 32 bytes or more"
GOOD = "correct horse 7"
WRONG = "battery staple 8"
HERE = "203.0.113.7"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


TODAY = Parameters(
    type=Type.ID,
    version=19,
    salt_len=16,
    hash_len=32,
    time_cost=2,
    memory_cost=19 * 1024,
    parallelism=1,
)


class CountedPasswords(Passwords):
    """Counts the checks that do the full work: those against a hash of today's parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0

    def verify(self, hashed: str, password: str) -> bool:
        self.checks += hashed.startswith("$argon2") and extract_parameters(hashed) == TODAY
        return super().verify(hashed, password)


def tokens_of(
    clock: HandClock, *, issuer: str | None = None, audience: str | None = None
) -> Tokens:
    return Tokens(Secret(SHOP), Secret(OWN), clock=clock, issuer=issuer, audience=audience)


class Presences:
    """Who is at work, as a test says."""

    def __init__(self) -> None:
        self.here: dict[UUID, AgentPresence] = {}

    def arrive(
        self, agent: Agent, status: AgentStatusName = "online", active_count: int = 0
    ) -> None:
        self.here[agent.id] = AgentPresence(
            agent_id=agent.id,
            name=agent.name,
            status=status,
            active_count=active_count,
            max_sessions=agent.max_sessions,
        )

    async def known(self) -> tuple[AgentPresence, ...]:
        return tuple(self.here.values())

    async def choose(self, agent_id: UUID, status: AgentStatusName, note: str | None) -> None:
        if agent_id in self.here:
            now = self.here[agent_id]
            self.here[agent_id] = structs.replace(now, status=status, note=note)


@dataclass
class Office:
    pool: DatabasePool
    clock: HandClock = field(default_factory=HandClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    passwords: CountedPasswords = field(default_factory=CountedPasswords)

    def __post_init__(self) -> None:
        self.signed_out: list[UUID] = []
        self.changed: list[UUID] = []
        self.tokens = tokens_of(self.clock)
        self.accounts = Accounts(
            self.pool,
            self.tokens,
            self.passwords,
            self.clock,
            self.entropy,
            on_signed_out=self.signed_out.append,
        )
        self.audit = AuditLog(self.pool, self.clock)
        world = World(
            self.pool,
            self.passwords,
            self.clock,
            self.entropy,
            self.audit,
            on_signed_out=self.signed_out.append,
            on_changed=self.changed.append,
        )
        self.roster, self.own, self.teams = Roster(world), OwnAccount(world), Teams(world)
        self.presences = Presences()

    def routes(self) -> list[Route]:
        """Every route of agents and of the audit log."""
        guard = Guard(self.accounts)
        return [
            *sign_in_routes(self.accounts),
            *own_routes(guard, self.own, self.presences),
            *agent_routes(guard, self.roster, self.presences),
            *team_routes(guard, self.teams),
            *audit_routes(self.audit, guard.requiring("audit.read")),
        ]

    async def create(self, username: str, name: str, **fields: Any) -> Agent:
        return await self.roster.create(SYSTEM, username, name, **fields)

    async def make_link(self, username: str) -> str:
        return await self.roster.make_link(SYSTEM, username)

    async def enter(self, username: str) -> SignedIn:
        """Sign in by link, without the work of a password."""
        return await self.accounts.redeem_link(await self.make_link(username))

    async def has_ended(self, session_id: UUID) -> bool:
        return await self.accounts.ended((session_id,)) == {session_id}

    async def last_entry(self) -> AuditEntry:
        return (await self.audit.page(limit=1)).entries[0]

    async def refusal(
        self, username: str = "lin", password: str = WRONG, address: str = HERE
    ) -> Problem:
        """What a sign-in that must fail is told."""
        with pytest.raises(Problem) as caught:
            await self.accounts.sign_in(username, password, address)
        return caught.value

    async def is_alive(self, access_token: str) -> bool:
        """Whether an access token still counts."""
        try:
            await self.accounts.authenticate(access_token)
        except Problem as problem:
            return problem.code != ErrorCode.UNAUTHORIZED
        return True
