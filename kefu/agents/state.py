"""An agent's desk: who sits there, how many places are taken, what is on offer. Pure.

A place is taken from the moment a chat is asked for, not from when it came: two accepts at once can
never both find the last place free.
"""

from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from protocol.agent import AgentStatusName


class Offer(Struct, frozen=True):
    """A colleague's chat, waiting for this agent's yes or no until `expires_at`, in seconds since
    the epoch."""

    request_id: UUID
    chat_id: UUID
    customer_id: UUID
    from_agent_id: UUID
    from_agent_name: str
    is_supervisor: bool
    expires_at: float
    reason: str | None = None
    note: str | None = None


class Desk(Struct, frozen=True):
    agent_id: UUID
    name: str
    avatar_url: str | None
    max_sessions: int
    chosen: AgentStatusName = "online"
    status_note: str | None = None
    team_ids: tuple[UUID, ...] = ()
    connections: frozenset[str] = frozenset()
    is_present: bool = False
    active: dict[UUID, UUID] = {}
    """Chat id to customer id of the chats in this agent's charge."""
    reserved: frozenset[UUID] = frozenset()
    offers: tuple[Offer, ...] = ()

    @property
    def status(self) -> AgentStatusName:
        """What others see: an agent without a socket is offline, whatever they chose."""
        return self.chosen if self.is_present else "offline"

    @property
    def taken_count(self) -> int:
        return len(self.active.keys() | self.reserved)

    def has_place_for(self, chat_id: UUID) -> bool:
        is_held = chat_id in self.active or chat_id in self.reserved
        return is_held or self.taken_count < self.max_sessions

    def find_offer(self, request_id: UUID) -> Offer | None:
        return next((offer for offer in self.offers if offer.request_id == request_id), None)


def connect(desk: Desk, connection_id: str) -> Desk:
    return replace(desk, connections=desk.connections | {connection_id}, is_present=True)


def disconnect(desk: Desk, connection_id: str) -> Desk:
    """Still present: a reload should not look like leaving. See `leave`."""
    return replace(desk, connections=desk.connections - {connection_id})


def leave(desk: Desk) -> Desk:
    """Gone, unless a socket came back meanwhile."""
    return desk if desk.connections else replace(desk, is_present=False)


def choose(desk: Desk, status: AgentStatusName, note: str | None) -> Desk:
    return replace(desk, chosen=status, status_note=note)


def reserve(desk: Desk, chat_id: UUID) -> Desk:
    return replace(desk, reserved=desk.reserved | {chat_id})


def unreserve(desk: Desk, chat_id: UUID) -> Desk:
    return replace(desk, reserved=desk.reserved - {chat_id})


def assign(desk: Desk, chat_id: UUID, customer_id: UUID) -> Desk:
    return replace(
        desk,
        active={**desk.active, chat_id: customer_id},
        reserved=desk.reserved - {chat_id},
    )


def free(desk: Desk, chat_id: UUID) -> Desk:
    rest = {key: value for key, value in desk.active.items() if key != chat_id}
    return replace(desk, active=rest, reserved=desk.reserved - {chat_id})


def refresh(desk: Desk, stored: Desk) -> Desk:
    """With all that the store knows better; places held for an answer stay held."""
    return replace(
        desk,
        name=stored.name,
        avatar_url=stored.avatar_url,
        max_sessions=stored.max_sessions,
        team_ids=stored.team_ids,
        active=stored.active,
        reserved=desk.reserved - stored.active.keys(),
    )


def add_offer(desk: Desk, offer: Offer) -> Desk:
    return replace(desk, offers=(*desk.offers, offer))


def drop_offer(desk: Desk, offer: Offer) -> Desk:
    rest = tuple(other for other in desk.offers if other.request_id != offer.request_id)
    return replace(desk, offers=rest)
