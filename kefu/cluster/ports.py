"""What the cluster needs of the world. The real things are in redis_bus.py, directory.py and
store.py; the simulation hands in its own.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from msgspec import Struct

from kefu.errors import KefuError


class BusUnavailable(KefuError):
    """Redis does not answer. Nothing is known of what was under way."""


class Bus(Protocol):
    """Redis pub/sub: fast, in order from one publisher, and forgetful."""

    async def publish(self, channel: str, data: bytes) -> int:
        """Send to all who listen now; how many that were. Raises BusUnavailable."""
        ...

    async def listen(
        self,
        channel: str,
        on_data: Callable[[bytes], None],
        on_up: Callable[[bool], None],
    ) -> None:
        """Hand over what comes on the channel, for ever, connecting again whenever it must.

        `on_up(True)` after each subscription, `on_up(False)` when it is lost.
        """
        ...


class Member(Struct, frozen=True, array_like=True):
    """One running instance, as it describes itself. A restarted process is another member."""

    name: str
    """For people: host and process id."""
    weight: float = 1.0
    """Its share of the slots; 0 for one that is leaving."""
    version: str = ""
    connections: int = 0
    """Sockets and streams it holds."""

    @property
    def is_leaving(self) -> bool:
        return self.weight == 0


class View(Struct, frozen=True):
    """What the directory says. `owners` is left out when it is as it was at `version`."""

    members: Mapping[str, Member]
    version: int
    owners: Mapping[int, str] | None = None
    is_asked_to_leave: bool = False
    """Whether an operator wants this instance to leave."""


class Directory(Protocol):
    """Who is there and who owns which slot: leases in Redis. Every call raises BusUnavailable."""

    async def beat(self, me: str, member: Member, known_version: int) -> View:
        """Say that I live (for LEASE_S) and hear how things are."""
        ...

    async def acquire(
        self, me: str, slots: Collection[int], gone: Collection[str]
    ) -> tuple[int, ...]:
        """Take the slots that nobody living owns, counting those in `gone` as dead. Mine stay."""
        ...

    async def hand_over(self, me: str, moves: Mapping[int, str]) -> None:
        """Give slots to others: those that are mine, or nobody's because it was forgotten."""
        ...

    async def ask_to_leave(self, instance: str) -> bool:
        """It hears so with its next beat; False when it does not live."""
        ...

    async def leave(self, me: str) -> None:
        """I am no member any more; whatever I still own is free."""
        ...


class Claims(Protocol):
    """The fence: PostgreSQL's epochs decide whose writes count."""

    async def claim(self, slots: Collection[int], instance: str) -> dict[int, int]:
        """Raise the epoch of each slot; any earlier owner can write no more.

        Returns when writes under way under the old epochs have ended, so that what is read
        afterwards is all there is. Raises StoreUnavailable.
        """
        ...

    async def renew(self, epochs: Mapping[int, int], instance: str) -> dict[int, int]:
        """`claim` for slots still held under these epochs; the others are left out."""
        ...
