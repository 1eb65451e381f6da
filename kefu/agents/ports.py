"""What an agent's actor needs of the world. The real thing is in desks.py."""

from collections.abc import Callable, Iterable
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from kefu.agents.state import Desk
from kefu.clock import Clock
from kefu.delivery import Publisher
from kefu.entropy import Entropy
from protocol.agent import AgentStatusName


class Desks(Protocol):
    """Agents as they are stored. Every call raises StoreUnavailable when nobody answers."""

    async def load(self, agent_id: UUID) -> Desk | None:
        """The agent with the chats in their charge; None for an unknown or inactive one."""
        ...

    async def save_status(
        self, agent_id: UUID, status: AgentStatusName, note: str | None
    ) -> None: ...


class World(Struct, frozen=True):
    """`connections_of` names an agent's open sockets on this instance, `is_living` says whether
    the instance of a connection still runs. `epoch_of` raises StoreUnavailable while a slot is not
    ours. After `gone_after_s` without a socket the agent's chats go back to the queue.
    """

    desks: Desks
    publisher: Publisher
    clock: Clock
    entropy: Entropy
    connections_of: Callable[[UUID], Iterable[str]]
    is_living: Callable[[str], bool]
    epoch_of: Callable[[int], int]
    gone_after_s: float = 180.0
