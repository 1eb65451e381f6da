"""One batch of decisions on a scratch copy: what to write, and what to say once it is written.

Nothing leaves a turn before its entry is durable. A turn that fails is thrown away whole: the
conversation is as it was.
"""

from uuid import UUID

from kefu.conversations.commands import Command, Refusal
from kefu.conversations.events import Event, Spoken
from kefu.conversations.keys import KeyWindow, Known
from kefu.conversations.reads import ReadMarks
from kefu.conversations.state import Chat, decide, evolve
from kefu.conversations.store import chat_row, rows_of
from kefu.storage.rows import Entry, EventRow, MessageRow


class Step:
    """One message's share of a turn: the events it caused, each with the chat after it."""

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


class Turn:
    """Collects steps; `chat` is the scratch state the next decision stands on."""

    def __init__(self, chat: Chat | None) -> None:
        self.chat = chat
        self.new_keys: list[tuple[UUID, str, Known]] = []
        self._messages: list[MessageRow] = []
        self._events: list[EventRow] = []
        self._changed: dict[UUID, Chat] = {}

    def apply(self, step: Step, command: Command, older: Chat | None = None) -> Refusal | None:
        """Decide on the scratch state and move it on; a refusal changes nothing.

        `older` is a chat before the latest one: it can still be rated and noted upon.
        """
        chat = older or self.chat
        events = decide(chat, command)
        if isinstance(events, Refusal):
            return events
        for event in events:
            chat = evolve(chat, event)
            self._record(step, event, chat)
        if older is None:
            self.chat = chat
        return None

    def _record(self, step: Step, event: Event, chat: Chat) -> None:
        step.after.append((event, chat))
        messages, log = rows_of(chat.chat_id, (event,))
        self._messages += messages
        self._events += log
        if isinstance(event, Spoken):
            self._remember(event)
        else:
            self._changed[chat.chat_id] = chat

    def _remember(self, event: Spoken) -> None:
        if event.client_message_id is not None and event.sender.id is not None:
            self.new_keys.append((event.sender.id, event.client_message_id, known_of(event)))

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
        if not (self._messages or self._events):
            return None
        chats = [chat_row(chat, *reads.of_chat(chat.chat_id)) for chat in self._changed.values()]
        return Entry(slot, epoch, tuple(chats), tuple(self._messages), tuple(self._events))


def known_of(event: Spoken) -> Known:
    return Known(
        chat_id=event.chat_id,
        message_id=event.message_id,
        seq=event.seq,
        at=event.at,
        content=event.content,
        message_type=event.message_type,
    )
