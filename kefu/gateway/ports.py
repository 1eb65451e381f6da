"""What every connection shares: where messages go, what is read, how time and limits come in."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from actors import Ref
from kefu.clock import Clock
from kefu.conversations.ports import Chats, FindProduct, nothing_sold
from kefu.gateway.hub import Hub
from kefu.gateway.metrics import Metrics


class ChatReader(Chats, Protocol):
    async def owner(self, chat_id: UUID) -> UUID | None:
        """The customer whose chat this is."""
        ...

    async def heads(
        self, customer_ids: Iterable[UUID], agent_ids: Iterable[UUID], chat_ids: Iterable[UUID]
    ) -> list[tuple[UUID, UUID, UUID | None, str, int, bool]]:
        """See `heads.HeadReader`."""
        ...

    async def active(self, agent_id: UUID) -> dict[UUID, UUID]:
        """The chats this agent is in charge of: chat id to customer id."""
        ...


class Backstage(Struct, frozen=True):
    """`ref(kind, key)` addresses any actor, `known_teams` reads the ids of all teams.

    `connection_id()` makes a new one that says which instance it is on; `find_product` says what
    the card of a product shows.
    """

    hub: Hub
    ref: Callable[[str, str], Ref[Any]]
    chats: ChatReader
    clock: Clock
    metrics: Metrics
    frame_rate: float
    frame_burst: float
    known_teams: Callable[[], Awaitable[frozenset[UUID]]]
    connection_id: Callable[[], str]
    find_product: FindProduct = nothing_sold
