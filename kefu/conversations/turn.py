"""One batch of decisions on a scratch copy: what to write, and what to say once it is written.

Nothing leaves a turn before its entry is durable. A step that is refused is never taken into the
turn, and a turn that fails is thrown away whole: the conversation is as it was.
"""

from uuid import UUID

from kefu.conversations.chat import Chat
from kefu.conversations.commands import Command, Refusal
from kefu.conversations.events import Event, Spoken
from kefu.conversations.frames import message_of
from kefu.conversations.keys import KeyWindow, Known, fingerprint
from kefu.conversations.parties import Customer
from kefu.conversations.reads import ReadMarks
from kefu.conversations.rows import chat_row, customer_row, rows_of
from kefu.conversations.state import decide, evolve
from kefu.storage.rows import CustomerRow, Entry, EventRow, MessageRow
from protocol.server import Message


class Step:
    """One message's share of a turn: the events it causes, each with the chat after it."""

    __slots__ = ("after", "before", "known")

    def __init__(self, before: Chat | None) -> None:
        self.before = before
        self.after: list[tuple[Event, Chat]] = []
        self.known: Known | None = None
        """Of a message that was sent before: what its first sending became."""

    @property
    def chat(self) -> Chat | None:
        """The chat as this step leaves it."""
        return self.after[-1][1] if self.after else self.before

    def apply(self, command: Command) -> Refusal | None:
        """Decide one more command; a refused one adds nothing."""
        chat = self.chat
        events = decide(chat, command)
        if isinstance(events, Refusal):
            return events
        for event in events:
            chat = evolve(chat, event)
            self.after.append((event, chat))
        return None


class Turn:
    """Collects steps; `chat` is the scratch state the next decision stands on."""

    def __init__(self, chat: Chat | None, *, is_wary: bool = False) -> None:
        self.chat = chat
        self.is_wary = is_wary
        """After a collision: ask the store for keys older than the window, too."""
        self.new_keys: list[tuple[UUID, str, Known]] = []
        self.asked_at: list[float] = []
        """When the bot was asked; see pace.py."""
        self.customer: CustomerRow | None = None
        """What is to be kept of the customer, whatever becomes of the steps."""
        self._spoken: list[Spoken] = []
        self._messages: list[MessageRow] = []
        self._events: list[EventRow] = []
        self._chats: dict[UUID, Chat] = {}
        self._guards: dict[tuple[int, int], None] = {}

    def take(self, step: Step, *, guard: tuple[int, int] | None = None) -> None:
        """Let the step count. One on an older chat (to rate it, say) leaves the latest alone.

        `guard` is a (slot, epoch) that must still be held for what the step changes.
        """
        if guard is not None and step.after:
            self._guards[guard] = None
        for event, chat in step.after:
            messages, log = rows_of(chat.chat_id, (event,))
            self._messages += messages
            self._events += log
            self._chats[chat.chat_id] = chat
            if isinstance(event, Spoken):
                self._remember(event)
        if step.before is self.chat:
            self.chat = step.chat

    def _remember(self, event: Spoken) -> None:
        self._spoken.append(event)
        if event.client_message_id is not None and event.sender.id is not None:
            self.new_keys.append((event.sender.id, event.client_message_id, known_of(event)))

    def said(self) -> tuple[Message, ...]:
        """What is new in the latest chat, in order."""
        chat_id = self.chat.chat_id if self.chat is not None else None
        return tuple(message_of(event) for event in self._spoken if event.chat_id == chat_id)

    def note(self, customer: Customer) -> CustomerRow:
        """Have it written, with what was noted before."""
        self.customer = customer_row(customer).over(self.customer)
        return self.customer

    def find_chat(self, chat_id: UUID) -> Chat | None:
        """A chat this turn has changed, as it would be."""
        return self._chats.get(chat_id)

    def find(
        self, window: KeyWindow, sender_id: UUID, key: str, chat_id: UUID | None
    ) -> Known | None:
        """The earlier send under this key, durable or of this very turn."""
        for sender, client_message_id, known in self.new_keys:
            if (sender, client_message_id) == (sender_id, key) and chat_id in (None, known.chat_id):
                return known
        return window.find(sender_id, key, chat_id)

    def entry(self, slot: int, epoch: int, reads: ReadMarks) -> Entry | None:
        """What must be durable before anything is said; None when nothing is."""
        if not (self._messages or self._events or self.customer):
            return None
        changed = {event.chat_id for event in self._events}
        chats = tuple(
            chat_row(chat, *reads.of_chat(chat_id))
            for chat_id, chat in self._chats.items()
            if chat_id in changed
        )
        return Entry(
            slot,
            epoch,
            chats,
            tuple(self._messages),
            tuple(self._events),
            tuple(self._guards),
            self.customer,
        )


def known_of(event: Spoken) -> Known:
    return Known(
        chat_id=event.chat_id,
        message_id=event.message_id,
        seq=event.seq,
        at=event.at,
        fingerprint=fingerprint(event.content, event.message_type),
    )
