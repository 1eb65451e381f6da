"""How actors reach people: the port through which every frame leaves, and the names it goes to.

Nothing here waits and nothing here can fail the caller: a frame that cannot be delivered now is
found again by its sequence number. Who is listening to a topic is the gateway's business.
"""

from functools import lru_cache
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct

from protocol.server import ToWorkbench

NAMES_KEPT: Final = 65_536  # writing a UUID out costs more than finding it written
WORKBENCH = "workbench"  # every agent's workbench socket


@lru_cache(maxsize=NAMES_KEPT)
def customer_topic(customer_id: UUID) -> str:
    """Every connection of this customer."""
    return f"customer:{customer_id}"


@lru_cache(maxsize=NAMES_KEPT)
def agent_topic(agent_id: UUID) -> str:
    """Every connection of this agent."""
    return f"agent:{agent_id}"


def agent_of(topic: str) -> UUID | None:
    """Whose connections are on this topic; None when it is no agent's."""
    kind, _, id = topic.partition(":")
    return UUID(id) if kind == "agent" else None


@lru_cache(maxsize=NAMES_KEPT)
def watch_topic(chat_id: UUID) -> str:
    """Those who watch this chat: supervisors, never a customer."""
    return f"chat:{chat_id}"


def session_topic(session_id: UUID) -> str:
    """Every connection that one sign-in of an agent opened."""
    return f"session:{session_id}"


class Origin(Struct, frozen=True):
    """Where a frame came from, so that its answer finds the way back."""

    connection_id: str
    frame_id: str | None = None


class Publisher(Protocol):
    def publish(
        self, topics: tuple[str, ...], frame: ToWorkbench, *, skip: Origin | None = None
    ) -> None:
        """To every connection on one of the topics, but not to the one `skip` names."""
        ...

    def reply(self, origin: Origin, frame: ToWorkbench) -> None:
        """To one connection. The caller sets `reply_to`."""
        ...
