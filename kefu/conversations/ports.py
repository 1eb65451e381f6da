"""What a conversation needs of the world. The real thing is in store.py and storage/journal.py."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct

from kefu.bot.messages import Bot
from kefu.catalogue.messages import Card
from kefu.clock import Clock
from kefu.conversations.chat import Chat
from kefu.conversations.escalation import Rules
from kefu.conversations.keys import Known
from kefu.conversations.parties import BOT, Party
from kefu.delivery import Publisher
from kefu.entropy import Entropy
from kefu.shifts.messages import Duty
from kefu.storage.rows import Entry
from protocol.server import Message

ALWAYS: Final = Duty(is_open=True)
FindProduct = Callable[[UUID], Awaitable[Card | None]]
"""As `Catalogue.find`."""


async def nothing_sold(_product_id: UUID) -> None:
    """Of a shop without a catalogue."""


class StoredChat(Struct, frozen=True):
    """A chat and the read marks that are kept beside it."""

    chat: Chat
    customer_read_seq: int = 0
    agent_read_seq: int = 0


class SilentChat(Struct, frozen=True):
    """A chat in which nothing has happened for a while, and where it stands."""

    chat_id: UUID
    customer_id: UUID
    seq: int
    log_id: int


class Chats(Protocol):
    """Reading chats. Every call raises StoreUnavailable when the store does not answer."""

    async def latest(self, customer_id: UUID) -> StoredChat | None:
        """The customer's open chat, else the one that ended last."""
        ...

    async def chat(self, chat_id: UUID) -> StoredChat | None: ...

    async def keys(self, customer_id: UUID) -> list[tuple[UUID, str, Known]]:
        """The customer's conversation's latest sends as (sender, key, message), oldest first."""
        ...

    async def sent(self, chat_id: UUID, sender_id: UUID, key: str) -> Known | None:
        """The message this sender put into the chat under that client_message_id."""
        ...

    async def messages(self, chat_id: UUID, *, after: int, until: int, limit: int) -> list[Message]:
        """The public messages with after < seq <= until, in order."""
        ...


class EntryJournal(Protocol):
    async def append(self, entry: Entry) -> None:
        """Return when durable. Raises JournalError or StoreUnavailable (see storage/journal.py)."""
        ...


class World(Struct, frozen=True):
    """All of it, handed to every conversation."""

    chats: Chats
    journal: EntryJournal
    publisher: Publisher
    clock: Clock
    entropy: Entropy
    epoch_of: Callable[[int], int]
    bot: Callable[[], Bot | None] = lambda: None
    """The bot that answers first; None where humans do."""
    bot_party: Party = BOT
    rules: Rules = Rules()
    duty: Callable[[datetime, UUID | None], Duty] = lambda _at, _team_id: ALWAYS
    """Whether humans are there (those of a team)."""
    turns_per_minute: int = 20
    turns_per_minute_vip: int = 100
    pending_timeout_s: float = 600.0
    find_product: FindProduct = nothing_sold
    """For whoever reads a product's card as words."""
    note_live: Callable[[Chat], None] = lambda _chat: None
    """Told of every durable change; see live.py."""
