"""The workbench's list as a stream: numbered, remembered for a while, resumable exactly. Pure."""

from collections import deque
from typing import Final

from protocol.server import AgentStatus, QueueUpdate

REMEMBERED: Final = 1000
FeedFrame = QueueUpdate | AgentStatus


class Feed:
    """`feed_id` changes when the numbers start anew: then only a snapshot helps."""

    def __init__(self, feed_id: str) -> None:
        self.feed_id = feed_id
        self._frames: deque[FeedFrame] = deque(maxlen=REMEMBERED)
        self._head = 0

    @property
    def head(self) -> int:
        return self._head

    def next_seq(self) -> int:
        """Every number taken must be followed by `remember` of the frame that carries it."""
        self._head += 1
        return self._head

    def remember(self, frame: FeedFrame) -> None:
        self._frames.append(frame)

    def since(self, feed_id: str | None, last_feed_seq: int | None) -> list[FeedFrame] | None:
        """What a listener at that point misses; None when only a snapshot helps."""
        if feed_id != self.feed_id or last_feed_seq is None or last_feed_seq > self._head:
            return None
        missing = self._head - last_feed_seq
        if missing > len(self._frames):
            return None
        return list(self._frames)[len(self._frames) - missing :]
