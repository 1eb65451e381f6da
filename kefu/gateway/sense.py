"""Which frames mean something to a client by what it was told before, and which nobody misses."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from kefu.gateway.chat_view import ChatView
from kefu.gateway.outbox import Outgoing
from protocol.server import (
    AiDelta,
    ChatStatus,
    NoteAdded,
    Read,
    ToWorkbench,
    TypingShown,
    Whispered,
)

# Nobody misses them for long: the next one, or the message itself, says the same.
EPHEMERAL: Final = frozenset((TypingShown, Read, AiDelta))
OF_A_KNOWN_CHAT: Final = (TypingShown, Read, NoteAdded, Whispered)


def makes_sense(frame: ToWorkbench, views: Mapping[UUID, ChatView[Outgoing]]) -> bool:
    """The first a client hears of a chat is its status; of the bot it hears nothing behind one that
    says the bot is not in charge, whatever is still on its way from another instance."""
    if frame.reply_to is not None:
        return True
    if isinstance(frame, AiDelta):
        view = views.get(frame.payload.chat_id)
        status = view.status.frame if view is not None else None
        return isinstance(status, ChatStatus) and status.payload.status == "bot"
    return not isinstance(frame, OF_A_KNOWN_CHAT) or frame.payload.chat_id in views
