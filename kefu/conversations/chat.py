"""What a chat is at one moment. How it changes is told in state.py. Pure."""

from typing import Final
from uuid import UUID

from msgspec import Struct

from kefu.conversations.parties import AgentSeat, Customer, Phase
from protocol.server import ChatStatusName

STATUS: Final[dict[Phase, ChatStatusName]] = {
    "bot_active": "bot",
    "pending_manual": "waiting",
    "manual_live": "active",
    "closed": "ended",
}


class Chat(Struct, frozen=True):
    """One opened-to-ended episode of a conversation.

    `agent` is there exactly in manual_live; `served_by` is whoever was in charge last. `team_id` is
    the team it was last handed to: it stays with whoever takes the chat, until the chat is handed
    on or a human is called anew. `seq` counts what is public, `log_id` all else, but for what
    supervisors alone may know of: that is counted downwards by `unseen_id`: -1, -2 ...

    `asked_seq` is the customer's latest message, `answered_seq` the latest one that the bot need
    not answer any more; `bot_failures` counts its failures in a row.
    """

    chat_id: UUID
    customer: Customer
    phase: Phase
    opened_at: float
    began_with_bot: bool
    seq: int = 0
    log_id: int = 0
    unseen_id: int = 0
    agent: AgentSeat | None = None
    served_by: AgentSeat | None = None
    topic: str | None = None
    order_id: UUID | None = None
    waiting_since: float | None = None
    reason: str | None = None
    taken_at: float | None = None
    ended_at: float | None = None
    rating: int | None = None
    feedback: str | None = None
    team_id: UUID | None = None
    asked_seq: int = 0
    answered_seq: int = 0
    bot_failures: int = 0
    after_hours_at: float | None = None
    """When a human was called for in vain, because none was on duty."""
    contact_email: str | None = None

    @property
    def is_open(self) -> bool:
        return self.phase != "closed"

    @property
    def awaits_bot(self) -> bool:
        """Whether the customer said something that the bot has not answered."""
        return self.phase == "bot_active" and self.asked_seq > self.answered_seq
