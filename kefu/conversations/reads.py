"""How far each side has read the latest chat. Pure; kept with the chat's row, but lazily."""

from typing import Protocol
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from kefu.conversations.chat import Chat
from kefu.conversations.parties import Party


class _Stored(Protocol):
    @property
    def chat(self) -> Chat: ...
    @property
    def customer_read_seq(self) -> int: ...
    @property
    def agent_read_seq(self) -> int: ...


class ReadMarks(Struct, frozen=True):
    chat_id: UUID | None = None
    customer: int = 0
    agent: int = 0

    @classmethod
    def of(cls, stored: _Stored | None) -> "ReadMarks":
        if stored is None:
            return cls()
        return cls(stored.chat.chat_id, stored.customer_read_seq, stored.agent_read_seq)

    def of_chat(self, chat_id: UUID) -> tuple[int, int]:
        """(customer, agent) for this chat; nothing is read of a chat that is not ours."""
        return (self.customer, self.agent) if chat_id == self.chat_id else (0, 0)

    def moved_to(self, chat: Chat | None) -> "ReadMarks":
        """The marks for the chat that is now the latest."""
        if chat is None or chat.chat_id == self.chat_id:
            return self
        return ReadMarks(chat.chat_id)

    def at_least(self, other: "ReadMarks") -> "ReadMarks":
        """These, or what `other` knows of the same chat where that is further."""
        if other.chat_id != self.chat_id:
            return self
        return ReadMarks(
            self.chat_id, max(self.customer, other.customer), max(self.agent, other.agent)
        )

    def marked(self, by: Party, seq: int, chat: Chat) -> "ReadMarks":
        """With `by` having read up to `seq` of `chat`; itself when that tells nothing new."""
        if chat.chat_id != self.chat_id:
            return self
        if by.kind == "customer" and by.id == chat.customer.id and seq > self.customer:
            return replace(self, customer=seq)
        is_agent = chat.agent is not None and chat.agent.id == by.id
        if by.kind == "agent" and is_agent and seq > self.agent:
            return replace(self, agent=seq)
        return self
