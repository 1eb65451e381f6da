"""What one connection has been sent of one chat. Pure: it decides, the connection sends.

The client holds its messages to be contiguous, so nothing may be sent twice, skipped or early. A
hole is filled from the store before anything later goes out; what arrives meanwhile is held.
"""

from enum import Enum
from typing import Generic, TypeVar

F = TypeVar("F")


class Admission(Enum):
    SEND = "send"
    DROP = "drop"
    HOLD = "hold"
    FILL = "fill"
    """Held too, and the caller must fetch what lies between."""


class ChatView(Generic[F]):
    """`floor` < seq <= `head` is what this connection was sent, without a hole."""

    def __init__(self, last_seq: int) -> None:
        self.floor = last_seq
        self.head = last_seq
        self._held: list[tuple[int | None, F]] | None = None
        self._wanted = last_seq

    @property
    def held_count(self) -> int:
        return len(self._held or ())

    def admit(self, seq: int, frame: F, *, is_receipt: bool = False) -> Admission:
        """What to do with the message `seq` that just came. A receipt is owed, even a late one."""
        if self._held is not None:
            return self._keep(None if is_receipt and seq <= self._wanted else seq, seq, frame)
        if seq <= self.head:
            return Admission.SEND if is_receipt else Admission.DROP
        if seq == self.head + 1:
            self.head = seq
            return Admission.SEND
        self._held = []
        self._keep(seq, seq - 1, frame)
        return Admission.FILL

    def admit_status(self, last_seq: int, frame: F) -> Admission:
        """A status says how far the chat is: behind that, something was missed."""
        if self._held is not None:
            return self._keep(None, last_seq, frame)
        if last_seq <= self.head:
            return Admission.SEND
        self._held = []
        self._keep(None, last_seq, frame)
        return Admission.FILL

    def _keep(self, seq: int | None, wanted: int, frame: F) -> Admission:
        assert self._held is not None
        self._held.append((seq, frame))
        self._wanted = max(self._wanted, wanted)
        return Admission.HOLD

    def hold(self) -> None:
        """Keep everything back from now on: older messages are about to be sent."""
        if self._held is None:
            self._held = []

    def hole(self) -> tuple[int, int]:
        """The (after, until) that must be sent before what is held."""
        return self.head, self._wanted

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
        held, self._held = self._held or [], None
        ready: list[F] = []
        for index, (seq, frame) in enumerate(held):
            if seq is not None and seq > self.head + 1:
                self._held = held[index:]
                break
            if seq is None or seq == self.head + 1:
                ready.append(frame)
                self.head = max(self.head, seq or 0)
        return ready
