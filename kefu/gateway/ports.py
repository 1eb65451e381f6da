"""What every connection shares: where messages go, what is read, how time and limits come in."""

from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from actors import Ref
from kefu.clock import Clock
from kefu.conversations.ports import Chats
from kefu.gateway.hub import Hub
from kefu.gateway.metrics import Metrics


class ChatReader(Chats, Protocol):
    async def owner(self, chat_id: UUID) -> UUID | None:
        """The customer whose chat this is."""
        ...


class Backstage(Struct, frozen=True):
    """`ref(kind, key)` addresses any actor."""

    hub: Hub
    ref: Callable[[str, str], Ref[Any]]
    chats: ChatReader
    clock: Clock
    metrics: Metrics
    frame_rate: float
    frame_burst: float
