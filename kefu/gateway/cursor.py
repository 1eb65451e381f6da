"""How far one stream has come, frame by frame in the order they go out. Pure.

Its text goes along as the stream's event id; a browser brings back the last one it saw, and goes on
exactly there: per chat that is followed the last message, and the place in the workbench's feed.
"""

import re
from typing import Final
from uuid import UUID

from kefu.gateway.limits import CURSOR_BYTES
from protocol.limits import RESYNC_MESSAGES
from protocol.server import (
    AgentStatus,
    ChatState,
    ChatStatus,
    MessageAck,
    NewMessage,
    QueueSnapshot,
    QueueUpdate,
    ToWorkbench,
)

_CHAT: Final = re.compile(r"([0-9a-f]{32}):(0|[1-9][0-9]{0,14})", re.ASCII)
_FEED: Final = re.compile(r"([0-9A-Za-z-]{1,64})@(0|[1-9][0-9]{0,14})", re.ASCII)


class Cursor:
    """`chats` and `feed` are the points after which the client lacks everything."""

    def __init__(self) -> None:
        self.chats: dict[UUID, int] = {}
        self.feed: tuple[str, int] | None = None
        self._ends: dict[UUID, int] = {}
        """Chats that are followed no longer, and the message after which they are done with."""
        self._text: str | None = None

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """The cursor of that text; a new one when it is none of ours."""
        cursor = cls()
        if not text or len(text) > CURSOR_BYTES:
            return cursor
        for part in text.split(","):
            chat, feed = _CHAT.fullmatch(part), _FEED.fullmatch(part)
            if chat is not None:
                cursor.chats[UUID(chat[1])] = int(chat[2])
            elif feed is not None:
                cursor.feed = feed[1], int(feed[2])
            else:
                return cls()
        return cursor

    def text(self) -> str:
        """Empty when there is nothing to go on from."""
        if self._text is None:
            parts = [f"{chat_id.hex}:{seq}" for chat_id, seq in self.chats.items()]
            if self.feed is not None:
                parts.append(f"{self.feed[0]}@{self.feed[1]}")
            self._text = ",".join(parts)
        return self._text

    def forget(self, chat_id: UUID) -> None:
        self.chats.pop(chat_id, None)
        self._ends.pop(chat_id, None)
        self._text = None

    def take(self, frame: ToWorkbench, *, is_followed: bool) -> bool:
        """Note a frame that is to go out; False when the client has it, or would miss one before.

        `is_followed` says of a chat_status whether the chat's messages go on coming.
        """
        match frame:
            case ChatStatus(payload=state):
                self._take_status(state, is_followed=is_followed)
            case NewMessage() | MessageAck():
                self._take_message(frame.payload.chat_id, frame.payload.seq)
            case QueueSnapshot(payload=queue):
                self.feed, self._text = (queue.feed_id, queue.feed_seq), None
            case QueueUpdate() | AgentStatus():
                return self._take_update(frame.payload.feed_id, frame.payload.feed_seq)
            case _:
                pass
        return True

    def _take_status(self, state: ChatState, *, is_followed: bool) -> None:
        chat_id = state.chat_id
        if state.resync:
            self.chats[chat_id] = max(0, state.last_seq - RESYNC_MESSAGES)
        elif is_followed:
            self.chats.setdefault(chat_id, state.last_seq)
        self._text = None
        if is_followed:
            self._ends.pop(chat_id, None)
        elif self.chats.get(chat_id, state.last_seq) >= state.last_seq:
            self.forget(chat_id)
        else:
            self._ends[chat_id] = state.last_seq

    def _take_message(self, chat_id: UUID, seq: int) -> None:
        if self.chats.get(chat_id) != seq - 1:
            return
        self.chats[chat_id], self._text = seq, None
        if self._ends.get(chat_id) == seq:
            self.forget(chat_id)

    def _take_update(self, feed_id: str, feed_seq: int) -> bool:
        """A feed that began anew is none of this cursor's: the client sees it and asks."""
        if self.feed is None or self.feed[0] != feed_id:
            return True
        if feed_seq != self.feed[1] + 1:
            return False
        self.feed, self._text = (feed_id, feed_seq), None
        return True
