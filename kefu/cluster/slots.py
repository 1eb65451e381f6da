"""Which slots this instance owns, and how it comes by them and gives them away.

Three steps to own a slot: the directory in Redis says so, PostgreSQL's epoch is raised, and only
then is anything read. So whoever owned it before writes no more, however long it slept. Without
Redis nothing changes hands: what is owned goes on, and the fence holds.

A slot whose last commit has an unknown outcome is claimed anew before anything of it is read again:
that commit has then happened or never will.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from msgspec.structs import replace

from kefu.cluster.patience import Patience
from kefu.cluster.placement import SLOT_COUNT, to_hand_over, wanted_by
from kefu.cluster.ports import BusUnavailable, Claims, Directory, Member, View
from kefu.storage.errors import StoreUnavailable

BEAT_S: Final = 1.0
REBALANCE_EVERY_BEATS: Final = 2
REBALANCE_SHARE: Final = 0.1
RETRY_S: Final = 0.2
SUSPECTED_S: Final = 3.0
"""By then a dead instance's lease has ended; one that lives was suspected for nothing."""
UNKNOWN: Final = -1
"""No version of the directory: what it holds is read whole. So after each change of our own, which
Redis may forget at once: its next number could be the one we knew."""
log = logging.getLogger("kefu.cluster")


class NotOwned(StoreUnavailable):
    """The slot is not this instance's (now); try again, and it goes to whoever owns it."""


class Residents(Protocol):
    """Whoever lives in the slots."""

    async def leave(self, slots: frozenset[int]) -> None:
        """Stop what lives there; return when nothing of it runs any more."""
        ...

    def settled(self, slots: frozenset[int]) -> None:
        """These slots have another owner than before, perhaps us; or members came or went."""
        ...

    def moved(self) -> None:
        """Slots were given away or taken: let the others look."""
        ...


class Slots:
    """`me` is this instance's id, new with every process. Start `run()` in a task of its own."""

    def __init__(self, me: str, member: Member, directory: Directory, claims: Claims) -> None:
        self.me = me
        self._member = member
        self._directory = directory
        self._claims = claims
        self._residents: Residents | None = None
        self._owners: dict[int, str] = {}
        self._members: Mapping[str, Member] = {}
        self._version = UNKNOWN
        self._epochs: dict[int, int] = {}
        self._leaving: set[int] = set()
        self._doubtful: set[int] = set()
        self._gone: dict[str, float] = {}
        self._given: dict[int, str] = {}
        """Whom slots of ours went to, as far as is known: Redis may forget that before they do."""
        self._patience = Patience()
        self._look_now = asyncio.Event()
        self._has_changed = asyncio.Event()
        self._beats = 0
        self.is_connected = False
        """Whether Redis answered the last beat."""
        self.asked_to_leave = asyncio.Event()
        """An operator wants this instance to pass everything on and end."""
        self.count_connections: Callable[[], int] = lambda: 0

    def attach(self, residents: Residents) -> None:
        self._residents = residents

    # --- what others ask --------------------------------------------------------------------------

    @property
    def members(self) -> Mapping[str, Member]:
        """Everybody who lives, this instance among them."""
        return self._members

    @property
    def owned_count(self) -> int:
        return len(self._epochs)

    def counts(self) -> Counter[str | None]:
        """How many slots each instance owns; None counts those that are changing hands."""
        return Counter(self._known_owners())

    def is_mine(self, slot: int) -> bool:
        """Whether actors of the slot may live here now."""
        return slot in self._epochs and slot not in self._leaving

    def owner(self, slot: int) -> str | None:
        """Who owns it, as far as is known; None while it is changing hands."""
        if slot in self._leaving:
            return None
        owner = self._owners.get(slot)
        if owner == self.me:
            return owner if slot in self._epochs else None
        return owner if owner in self._members and owner not in self._gone else None

    def is_coming(self, slot: int) -> bool:
        """Whether it is about to be ours."""
        return self._owners.get(slot) == self.me and slot not in self._epochs

    def epoch_of(self, slot: int) -> int:
        """The epoch to write under; take it before reading. Raises NotOwned."""
        epoch = self._epochs.get(slot)
        if epoch is None or slot in self._doubtful:
            raise NotOwned("This chat is changing hands; please try again.")
        return epoch

    # --- what others tell -------------------------------------------------------------------------

    def look_now(self) -> None:
        """The directory may have changed."""
        self._look_now.set()

    def suspect(self, instance: str) -> None:
        """Nobody listens where that instance should: its slots are taken now, not in LEASE_S. Safe
        even when it lives: PostgreSQL refuses what it writes from then on. But when Redis is just
        back all subscriptions are renewed, some later than others."""
        is_back = self.is_connected and not self._patience.lasts
        if instance in self._members and instance != self.me and is_back:
            self._gone[instance] = _now() + SUSPECTED_S
            self._look_now.set()

    def doubt(self, claims: Collection[tuple[int, int]]) -> None:
        """A commit of these slots was fenced, or has an unknown outcome: nothing of them is read or
        written before it is known whose they are."""
        doubtful = [slot for slot, epoch in claims if self._epochs.get(slot) == epoch]
        if doubtful:  # an epoch of before was simply too old: nothing to find out
            self._doubtful.update(doubtful)
            self._look_now.set()

    # --- the loop ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the lease, take what is free, give away what is another's. Until cancelled."""
        while True:
            try:
                is_done = await self._beat()
            except BusUnavailable:
                self.is_connected = False
                self._patience.pass_time(_now(), is_there=False)
                await self._renew_doubtful()
                is_done = False
            wait_s = RETRY_S if self._patience.lasts or not is_done else BEAT_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._look_now.wait()
            except TimeoutError:
                pass
            self._look_now.clear()

    async def ready(self, *, within_s: float) -> bool:
        """Wait until every slot has an owner; False when that takes too long."""
        try:
            async with asyncio.timeout(within_s):
                while not all(self.owner(slot) for slot in range(SLOT_COUNT)):
                    self._has_changed.clear()
                    await self._has_changed.wait()
        except TimeoutError:
            return False
        return True

    async def leave(self, *, within_s: float) -> bool:
        """Give every slot to the others; False when some could not be given in time.

        Alone, there is nobody to give them to: whoever comes takes them.
        """
        self._member = replace(self._member, weight=0.0)
        try:
            async with asyncio.timeout(within_s):
                while self._epochs and len(self._weights()) > 0:
                    self._has_changed.clear()
                    self._look_now.set()
                    await self._has_changed.wait()
        except TimeoutError:
            log.warning("slots_kept", extra={"count": len(self._epochs)})
            return False
        return True

    async def ask_to_leave(self, instance: str) -> bool:
        """An operator wants that instance to leave: it hears so with its next beat. False when it
        does not live. Raises BusUnavailable."""
        return await self._directory.ask_to_leave(instance)

    async def resign(self) -> None:
        """The very end: be no member any more."""
        try:
            await self._directory.leave(self.me)
        except BusUnavailable:
            pass  # the lease ends by itself

    async def _beat(self) -> bool:
        member = replace(self._member, connections=self.count_connections())
        view = await self._directory.beat(self.me, member, self._version)
        self._patience.pass_time(_now(), is_there=True)
        if not self.is_connected or self._has_forgotten(view):
            self._patience.begin()
        self.is_connected = True
        if view.is_asked_to_leave:
            self.asked_to_leave.set()
        await self._take_in(view)
        is_done = await self._take_free()
        is_done = await self._renew_doubtful() and is_done
        if is_done:
            await self._rebalance()
        return is_done

    async def _rebalance(self) -> None:
        """Give away what others should own: all of it when leaving, else a little at a time."""
        self._beats += 1
        is_leaving = self._member.weight == 0
        if is_leaving or (self._beats % REBALANCE_EVERY_BEATS == 0 and not self._patience.lasts):
            share = 1.0 if is_leaving else REBALANCE_SHARE
            mine = self._epochs.keys()
            await self._hand_over(to_hand_over(mine, self.me, self._weights(), share=share))

    def _weights(self) -> dict[str, float]:
        members = {**self._members, self.me: self._member}
        return {
            name: member.weight
            for name, member in members.items()
            if member.weight > 0 and name not in self._gone
        }

    def _has_forgotten(self, view: View) -> bool:
        return view.owners is not None and bool(self._owners.keys() - view.owners.keys())

    async def _take_in(self, view: View) -> None:
        """Believe the directory; what it gives to somebody else is ours no more."""
        now = _now()
        members = self._patience.living(view.members)
        is_news = view.owners is not None or members.keys() != self._members.keys()
        if not (is_news or self._gone):
            self._members = members
            return
        before, met = self._known_owners(), self._members.keys()
        self._members = members
        self._gone = {
            name: until for name, until in self._gone.items() if name in members and until > now
        }
        if view.owners is not None:
            await self._take_in_owners(view.owners, view.version)
        after = self._known_owners()
        changed = {slot for slot in range(SLOT_COUNT) if before[slot] != after[slot]}
        if changed or met != members.keys():
            self._tell_settled(changed)

    async def _take_in_owners(self, owners: Mapping[int, str], version: int) -> None:
        self._owners, self._version = dict(owners), version
        self._given = {s: who for s, who in self._given.items() if owners.get(s, who) == who}
        lost = {slot for slot in self._epochs if self._owners.get(slot, self.me) != self.me}
        if lost:
            await self._give_up(frozenset(lost))

    def _known_owners(self) -> list[str | None]:
        """What `owner` says of each slot; they change with the members, too: who is suspected owns
        nothing."""
        others = {name: name for name in self._members.keys() - self._gone.keys() - {self.me}}
        owners = self._owners
        known: list[str | None] = [others.get(owners.get(slot, "")) for slot in range(SLOT_COUNT)]
        for slot in self._epochs:
            if owners.get(slot) == self.me:
                known[slot] = self.me
        for slot in self._leaving:
            known[slot] = None
        return known

    async def _take_free(self) -> bool:
        """Take the slots nobody living owns and this instance should; True when none is left."""
        living = self._members.keys() - self._gone.keys()
        await self._give_again(living)
        free = self._free(living)
        held = [slot for slot in free if slot in self._epochs]
        abandoned = [slot for slot in free if slot in self._owners or not self._patience.lasts]
        wanted = held + wanted_by(self.me, abandoned, self._weights())
        taken: Collection[int] = ()
        if wanted:
            self._version = UNKNOWN
            taken = await self._directory.acquire(self.me, wanted, tuple(self._gone))
        for slot in taken:
            self._owners[slot] = self.me
            self._given.pop(slot, None)
        if taken and self._residents is not None:
            self._residents.moved()
        me, epochs = self.me, self._epochs
        coming = [s for s, owner in self._owners.items() if owner == me and s not in epochs]
        return await self._claim(coming)

    async def _give_again(self, living: Collection[str]) -> None:
        """What Redis has forgotten of what was given away: who should have it may not know yet."""
        owners = self._owners
        given = self._given.items()
        await self._give({s: who for s, who in given if s not in owners and who in living})

    def _free(self, living: Collection[str]) -> list[int]:
        owners = self._owners
        if len(owners) == SLOT_COUNT and set(owners.values()) <= set(living):  # nearly always
            return []
        return [slot for slot in range(SLOT_COUNT) if owners.get(slot) not in living]

    async def _claim(self, slots: Collection[int]) -> bool:
        if not slots:
            return True
        try:
            self._epochs.update(await self._claims.claim(slots, self.me))
        except StoreUnavailable:
            return False
        self._tell_settled(set(slots))
        return True

    async def _renew_doubtful(self) -> bool:
        """What somebody else has claimed meanwhile is lost: only the directory gives it back.

        Who has lost one slot unnoticed, asleep while Redis forgot, may have lost others.
        """
        doubtful = {slot: self._epochs[slot] for slot in self._doubtful if slot in self._epochs}
        if not doubtful:
            return True
        try:
            renewed = await self._claims.renew(doubtful, self.me)
        except StoreUnavailable:
            return False
        self._epochs.update(renewed)
        self._doubtful.difference_update(doubtful)
        lost = frozenset(doubtful.keys() - renewed.keys())
        if lost:
            log.warning("slots_lost", extra={"count": len(lost)})
            await self._give_up(lost)
            self._doubtful |= self._epochs.keys() - doubtful.keys()
            return await self._renew_doubtful()
        return True

    async def _hand_over(self, moves: Mapping[int, str]) -> None:
        """Empty the slots, then give them away: what comes meanwhile waits and follows."""
        if not moves:
            return
        slots = frozenset(moves)
        self._leaving |= slots
        try:
            if self._residents is not None:
                await self._residents.leave(slots)
            await self._give(moves)
        except BusUnavailable:
            # What did not end in time may still write under this epoch: nothing new may share it.
            self._doubtful |= slots & self._epochs.keys()
            await self._renew_doubtful()
            raise
        finally:
            self._leaving -= slots
            self._tell_settled(set(slots))

    async def _give(self, moves: Mapping[int, str]) -> None:
        if not moves:
            return
        self._version = UNKNOWN
        await self._directory.hand_over(self.me, moves)
        for slot, owner in moves.items():
            self._owners[slot] = self._given[slot] = owner
            self._epochs.pop(slot, None)
        if self._residents is not None:
            self._residents.moved()

    async def _give_up(self, slots: frozenset[int]) -> None:
        self._leaving |= slots
        for slot in slots:
            self._epochs.pop(slot, None)
        self._doubtful -= slots
        if self._residents is not None:
            await self._residents.leave(slots)
        self._leaving -= slots

    def _tell_settled(self, slots: set[int]) -> None:
        self._has_changed.set()
        if self._residents is not None:
            self._residents.settled(frozenset(slots))


def _now() -> float:
    return asyncio.get_running_loop().time()
