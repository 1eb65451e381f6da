"""What a connection asks of whoever it belongs to: customer_role.py and agent_role.py answer."""

from __future__ import annotations

from collections.abc import Collection, Coroutine
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from protocol.server import ChatState, ChatStatus, ToWorkbench

if TYPE_CHECKING:
    from datetime import datetime

    from kefu.gateway.connection import Connection


class Role(Protocol):
    @property
    def topics(self) -> tuple[str, ...]:
        """What the hub delivers to this connection."""
        ...

    @property
    def person(self) -> str:
        """Whose connection it is: the topic that counts their devices."""
        ...

    @property
    def expires_at(self) -> datetime:
        """When the token that opened the connection ends, and the connection with it."""
        ...

    def read(self, data: str | bytes) -> Any:
        """The frame, or a Rejection: text is JSON, bytes are MessagePack."""
        ...

    def handle(self, connection: Connection, frame: Any) -> Coroutine[Any, Any, None] | None:
        """Do what the frame says at once, or return the work to wait for. May raise Problem.

        Every frame but `resume`, which means the same for everybody.
        """
        ...

    def decorate(self, status: ChatStatus) -> ChatStatus:
        """The status as this client is to see it."""
        ...

    def follows(self, state: ChatState) -> bool:
        """Whether the messages of a chat in this state come to this connection."""
        ...

    async def greet(self, connection: Connection) -> None:
        """What is sent unasked when the connection opens. Raises Problem, ActorError or
        StoreUnavailable when it cannot be said now: the client is to come back."""
        ...

    def leave(self, connection: Connection) -> None:
        """The connection has closed."""
        ...

    @property
    def customer_id(self) -> UUID | None:
        """The customer whose connection it is."""
        ...

    @property
    def agent_id(self) -> UUID | None:
        """The agent whose connection it is."""
        ...

    def hears(self, frame: ToWorkbench) -> bool:
        """Whether a frame of no chat is news to this connection."""
        ...

    @property
    def watched(self) -> Collection[UUID]:
        """The chats that are followed without being the agent's own."""
        ...

    async def look_at(self, connection: Connection, chat_id: UUID) -> None:
        """Have the chat's status sent again. Raises Problem, ActorError or StoreUnavailable."""
        ...

    def come_again(self, connection: Connection) -> None:
        """Say once more that the connection is there, and what it has of the list: whoever was
        told may be gone."""
        ...

    async def may_read(self, connection: Connection, chat_id: UUID) -> bool:
        """Whether this person may read that chat's messages, open or not."""
        ...
