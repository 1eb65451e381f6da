"""What changing accounts and teams needs, and whom it tells."""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from kefu.agents.passwords import Passwords
from kefu.audit.messages import Trail
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.storage.database import DatabasePool
from protocol.agent import AgentStatusName
from protocol.server import AgentPresence


class World(Struct, frozen=True):
    """`on_signed_out` is told the sessions that ended and `on_changed` the agents whose account or
    teams changed: after the commit, in passing. Who misses it finds out by reading the store."""

    pool: DatabasePool
    passwords: Passwords
    clock: Clock
    entropy: Entropy
    trail: Trail
    on_signed_out: Callable[[UUID], None] = lambda _session_id: None
    on_changed: Callable[[UUID], None] = lambda _agent_id: None


class Presences(Protocol):
    """Who is at work, as the agents' actors know it."""

    async def known(self) -> tuple[AgentPresence, ...]:
        """Every agent seen since the start. Raises `Problem(OVERLOADED)`."""
        ...

    async def choose(self, agent_id: UUID, status: AgentStatusName, note: str | None) -> None:
        """Set an agent's status, durably. Raises `Problem(OVERLOADED)`."""
        ...
