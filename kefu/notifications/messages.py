"""What others may ask of mails to the team."""

from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct

MailKind = Literal["escalated", "address", "requested", "alert"]
MailState = Literal["pending", "sent", "failed", "unknown"]


class MailRecord(Struct, frozen=True):
    """How a mail stands. `unknown`: it may have arrived; it is tried again while attempts last."""

    id: UUID
    kind: MailKind
    state: MailState
    attempts: int
    created_at: datetime
    sent_at: datetime | None


class Mails(Protocol):
    async def request(self, chat_id: UUID) -> UUID:
        """Send the chat's transcript to the team by mail, in a moment. Answers the mail's id.

        Raises `Problem`: CHAT_NOT_FOUND, INVALID_STATUS where no mail is set up, RATE_LIMITED
        within a minute of the last time; and StoreUnavailable.
        """
        ...

    def look_now(self) -> None:
        """Something may be due: an address was left, a human was asked for. Never waits; nothing
        is lost without it."""
        ...

    async def of_chat(self, chat_id: UUID) -> tuple[MailRecord, ...]:
        """How the last mails of a chat stand, the newest first. Raises StoreUnavailable."""
        ...
