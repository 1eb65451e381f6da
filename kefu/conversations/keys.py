"""Which sends are known already, so that sending again is answered and not repeated.

A window over the conversation's recent messages, not one chat's: a client that resends after its
chat has ended must find the old message, not open a new chat with it. What is older than the window
is judged by the database's unique index.
"""

from collections import OrderedDict
from typing import Final
from uuid import UUID

from msgspec import Struct

from kefu.conversations.commands import Refusal

WINDOW: Final = 512
REFUSED_KEPT_S: Final = 15.0
"""Longer than a message can be on its way between instances."""


class Known(Struct, frozen=True):
    """A durable message, as its sender's receipt needs it. `at` is seconds since the epoch.

    What was said is remembered by its fingerprint alone: hundreds of these are kept for each
    conversation, and a message may be long. A fingerprint is of this process only.
    """

    chat_id: UUID
    message_id: UUID
    seq: int
    at: float
    fingerprint: int

    def has_same_content(self, content: str, message_type: str) -> bool:
        return self.fingerprint == fingerprint(content, message_type)


def fingerprint(content: str, message_type: str) -> int:
    """Equal for equal messages, and for hardly any others (64 bits of SipHash)."""
    return hash((content, message_type))


class KeyWindow:
    """The last WINDOW sends by (sender, client_message_id)."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[UUID, str], Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, sender_id: UUID, key: str, chat_id: UUID | None) -> Known | None:
        """The earlier send under this key; in the named chat, or in any."""
        known = self._known.get((sender_id, key))
        if known is None or (chat_id is not None and known.chat_id != chat_id):
            return None
        return known

    def remember(self, sender_id: UUID, key: str, known: Known) -> None:
        self._known[sender_id, key] = known
        self._known.move_to_end((sender_id, key))
        if len(self._known) > WINDOW:
            self._known.popitem(last=False)


class RefusedKeys:
    """The sends that were refused for good, for a while. Somebody who came back elsewhere and was
    refused there may have the same send on its way still: it is not to be let in behind that."""

    def __init__(self) -> None:
        self._refused: OrderedDict[tuple[UUID, str], tuple[float, Refusal]] = OrderedDict()

    def find(self, sender_id: UUID, key: str, now: float) -> Refusal | None:
        """`now` is monotonic, in seconds."""
        until, refusal = self._refused.get((sender_id, key), (0.0, None))
        return refusal if now < until else None

    def remember(self, sender_id: UUID, key: str, refusal: Refusal, now: float) -> None:
        self._refused.pop((sender_id, key), None)
        self._refused[sender_id, key] = (now + REFUSED_KEPT_S, refusal)
        oldest = next(iter(self._refused))
        if len(self._refused) > WINDOW or self._refused[oldest][0] <= now:
            del self._refused[oldest]
