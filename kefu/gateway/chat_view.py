"""What one connection has been sent of one chat. Pure: it decides, the connection sends.

The client holds its messages to be contiguous, so nothing may be sent twice, skipped or early. A
hole is filled from the store before anything later goes out; what arrives meanwhile is held.
"""

from collections import deque
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

F = TypeVar("F")


class Admission(Enum):
    SEND = "send"
    DROP = "drop"
    HOLD = "hold"
    FILL = "fill"
    """Held too, and the caller must fetch what lies between."""


class _Held(NamedTuple, Generic[F]):
    """`seq` is None for a status; `needs` is how far the client must be before this goes out, and
    `begins_at` where it begins to follow the chat anew."""

    frame: F
    needs: int
    seq: int | None
    is_receipt: bool
    begins_at: int | None = None


class ChatView(Generic[F]):
    """`floor` < seq <= `head` is what this connection was sent, without a hole.

    `status` is the last one that went out: the first of them made the view.
    """

    def __init__(self, last_seq: int, status: F) -> None:
        self.floor = last_seq
        self.head = last_seq
        self.status = status
        self.is_leaving = False
        """Whether the last status that came said that the chat is no longer followed."""
        self._held: deque[_Held[F]] = deque()
        self._is_holding = False

    @property
    def held_count(self) -> int:
        return len(self._held)

    @property
    def known(self) -> int:
        """How many messages the chat has at least, by all that came."""
        held = (held.needs if held.seq is None else held.seq for held in self._held)
        return max(self.head, max(held, default=0))

    def admit(self, seq: int, frame: F, *, is_receipt: bool = False) -> Admission:
        """What to do with the message `seq` that just came. A receipt is owed, even a late one."""
        return self._admit(_Held(frame, seq - 1, seq, is_receipt))

    def admit_status(self, last_seq: int, frame: F) -> Admission:
        """A status says how far the chat is: behind that, something was missed."""
        return self._admit(_Held(frame, last_seq, None, False))

    def admit_status_after_leaving(self, last_seq: int, frame: F, *, is_return: bool) -> Admission:
        """Behind a status that said the client follows no longer, nothing in between is theirs."""
        return self._admit(_Held(frame, 0, None, False, last_seq if is_return else None))

    def _admit(self, held: _Held[F]) -> Admission:
        if self._is_holding:
            self._held.append(held)
            return Admission.HOLD
        if held.needs > self.head:
            self._is_holding = True
            self._held.append(held)
            return Admission.FILL
        return Admission.SEND if self._advance(held) else Admission.DROP

    def _advance(self, held: _Held[F]) -> bool:
        """Whether what has nothing missing before it goes out: a message but once."""
        if held.seq is None:
            self.status = held.frame
            if held.begins_at is not None:
                self.floor = self.head = max(self.head, held.begins_at)
            return True
        is_new = held.seq > self.head
        self.head = max(self.head, held.seq)
        return is_new or held.is_receipt

    def hold(self) -> None:
        """Keep everything back from now on: older messages are about to be sent."""
        self._is_holding = True

    def hole(self) -> tuple[int, int]:
        """The (after, until) that must be sent before the first of what is held."""
        return self.head, max(self.head, self._held[0].needs)

    def behind(self, last_seq: int) -> tuple[int, int]:
        """The (after, until) a client at `last_seq` lacks.

        Below the floor that is what lies before the first message this connection was sent; at or
        above it the client has lost something it was sent, and gets it again.
        """
        return (last_seq, self.floor) if last_seq < self.floor else (last_seq, self.head)

    def filled(self, after: int, until: int) -> list[F]:
        """after < seq <= until was sent: what was held for it and goes out now, in order.

        Held messages that still have a hole before them stay held: look at `held_count`.
        """
        self.floor = min(self.floor, after)
        self.head = max(self.head, until)
        ready: list[F] = []
        while self._held and self._held[0].needs <= self.head:
            held = self._held.popleft()
            if self._advance(held):
                ready.append(held.frame)
        self._is_holding = bool(self._held)
        return ready
