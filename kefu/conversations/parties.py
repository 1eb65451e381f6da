"""Who acts in a chat, as the rules need to know them. Times are seconds since the epoch, UTC."""

from typing import Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from protocol.server import SenderType

Phase = Literal["bot_active", "pending_manual", "manual_live", "closed"]
Severity = Literal["low", "high"]


class Party(Struct, frozen=True):
    """Somebody who speaks or acts. The system has no id."""

    kind: SenderType
    id: UUID | None = None
    name: str | None = None
    is_supervisor: bool = False

    @property
    def may_supervise(self) -> bool:
        """Whether other agents' chats are theirs to watch, to whisper in and to take over."""
        return self.kind == "agent" and self.is_supervisor


class AgentSeat(Struct, frozen=True):
    """An agent as the chat remembers them: enough to show the customer who is helping."""

    id: UUID
    name: str
    avatar_url: str | None = None


class Customer(Struct, frozen=True):
    """The customer's side of a conversation, from their token."""

    id: UUID
    sub: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    is_vip: bool = False
    is_guest: bool = False
    is_signed: bool = False
    """Whether the shop has signed for them: nobody else speaks under their name from then on."""

    def as_vip(self, is_vip: bool) -> "Customer":
        """The same customer, known by the stored profile to be a VIP or not."""
        return replace(self, is_vip=is_vip)


SYSTEM = Party("system")
# Its id never changes: under it the store keeps a question from being answered twice.
BOT = Party("ai", UUID("6a1d7f0e-5c1b-5d0a-9a57-6b6f74000001"))
