"""Which frames mean something to a client by what it was told before, and which nobody misses."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from kefu.gateway.chat_view import ChatView
from kefu.gateway.outbox import Outgoing
from protocol.server import (
    AiDelta,
    ChatState,
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
ENDED_KEPT: Final = 256


class Ended:
    """How chats stood at their ends, which a client was told. An end is for ever: an instance that
    stood still and goes on may say what was before."""

    def __init__(self) -> None:
        self._chats: OrderedDict[UUID, ChatState] = OrderedDict()

    def true(self, frame: ChatStatus) -> ChatStatus | None:
        """The status as it may be told. One that was made before an end the client knows may not:
        whoever asked for it is told of that end instead, and nobody else of anything."""
        state = frame.payload
        if state.status == "ended":
            self._chats[state.chat_id] = state
            if len(self._chats) > ENDED_KEPT:
                self._chats.popitem(last=False)
            return frame
        end = self._chats.get(state.chat_id)
        if end is None:
            return frame
        return None if frame.reply_to is None else replace(frame, payload=end)


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
