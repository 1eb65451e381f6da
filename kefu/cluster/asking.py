"""The order of what goes to one slot, whoever owns it. No I/O.

Everything that leaves for a slot has a number. As long as one owner stands it goes out at once.
When the slot has no owner, or what was asked of an earlier owner is not answered yet, what comes
waits here; what was turned away goes back to its place by number. So one sender's messages reach
the slot's owners in the order they were sent, through any number of moves.
"""

import asyncio
from bisect import insort
from itertools import count
from typing import Final

from actors import ActorId
from kefu.cluster.placement import slot_of

PARKED_PER_SLOT: Final = 1000
PARKED_IN_ALL: Final = 20_000


class Parcel:
    """One message on its way; with `answer` it is a question.

    `ask_id` is new for each sending, so that a late answer to an earlier one finds nobody.
    """

    __slots__ = ("answer", "ask_id", "expires_at", "id", "message", "number", "peer", "slot")

    def __init__(
        self,
        number: int,
        id: ActorId,
        message: object,
        answer: "asyncio.Future[object] | None" = None,
        expires_at: float = 0.0,
    ) -> None:
        self.number = number
        self.id = id
        self.slot = slot_of(id.key)
        self.message = message
        self.answer = answer
        self.expires_at = expires_at
        self.ask_id = 0
        self.peer: str | None = None


class Asking:
    """What was asked and what waits, by slot."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._ask_ids = count(1)
        self._asked: dict[int, Parcel] = {}
        self._asked_by_slot: dict[int, dict[int, Parcel]] = {}
        self._parked: dict[int, list[Parcel]] = {}
        self._parked_count = 0

    def parcel(
        self,
        id: ActorId,
        message: object,
        answer: "asyncio.Future[object] | None" = None,
        expires_at: float = 0.0,
    ) -> Parcel:
        return Parcel(next(self._numbers), id, message, answer, expires_at)

    # --- asked ------------------------------------------------------------------------------------

    def sent(self, parcel: Parcel, peer: str) -> int:
        """The question goes to `peer` now; the id its answer will carry."""
        parcel.ask_id, parcel.peer = next(self._ask_ids), peer
        self._asked[parcel.ask_id] = parcel
        self._asked_by_slot.setdefault(parcel.slot, {})[parcel.ask_id] = parcel
        return parcel.ask_id

    def find(self, ask_id: int) -> Parcel | None:
        return self._asked.get(ask_id)

    def settle(self, parcel: Parcel) -> None:
        """It is answered, given up, or to be asked anew."""
        if self._asked.pop(parcel.ask_id, None) is None:
            return
        same_slot = self._asked_by_slot[parcel.slot]
        del same_slot[parcel.ask_id]
        if not same_slot:
            del self._asked_by_slot[parcel.slot]

    def asked_of(self, peer: str) -> list[Parcel]:
        return [parcel for parcel in self._asked.values() if parcel.peer == peer]

    def is_clear(self, slot: int, owner: str | None) -> bool:
        """Whether something new may go to `owner` at once."""
        if owner is None or slot in self._parked:
            return False
        asked = self._asked_by_slot.get(slot)
        return asked is None or all(parcel.peer == owner for parcel in asked.values())

    def is_busy(self, slot: int) -> bool:
        """Whether something for the slot is under way or waits here: what is new goes behind it."""
        return slot in self._asked_by_slot or slot in self._parked

    # --- parked -----------------------------------------------------------------------------------

    @property
    def parked_slots(self) -> frozenset[int]:
        return frozenset(self._parked)

    def park(self, parcel: Parcel, *, is_turned_away: bool = False) -> bool:
        """Keep it for its slot's owner; False when too much waits. What was sent once has room."""
        waiting = self._parked.get(parcel.slot, [])
        is_full = len(waiting) >= PARKED_PER_SLOT or self._parked_count >= PARKED_IN_ALL
        if is_full and not is_turned_away:
            return False
        insort(waiting, parcel, key=_number)
        self._parked[parcel.slot] = waiting
        self._parked_count += 1
        return True

    def may_release(self, slot: int) -> bool:
        """Nothing of the slot may be under way elsewhere when what waits goes out."""
        return slot in self._parked and slot not in self._asked_by_slot

    def release(self, slot: int) -> list[Parcel]:
        """What waits for the slot, in order, without what nobody waits for any more."""
        waiting = self._parked.pop(slot)
        self._parked_count -= len(waiting)
        return [one for one in waiting if one.answer is None or not one.answer.done()]


def _number(parcel: Parcel) -> int:
    return parcel.number
