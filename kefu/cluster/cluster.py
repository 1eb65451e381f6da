"""This instance's part in the cluster: slots, links, transport and bridge, joined.

`changed` and `missed` are for the gateway: somebody's chats may have moved, something for somebody
may never have come. Both mean: compare with the truth now.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import anyio

from actors import ActorId
from kefu.cluster.bridge import Audience, Bridge
from kefu.cluster.codec import Codec
from kefu.cluster.envelopes import (
    Answered,
    Ask,
    Close,
    Envelope,
    Failed,
    Interest,
    Publish,
    Reply,
    SlotsMoved,
    Tell,
)
from kefu.cluster.links import Links, LinkState
from kefu.cluster.placement import slot_of
from kefu.cluster.ports import Bus, Claims, Directory, Member
from kefu.cluster.slots import Slots
from kefu.cluster.transport import ClusterTransport

LEAVE_WITHIN_S: Final = 1.0
log = logging.getLogger("kefu.cluster")


class ActorRouter(Protocol):
    """The part of actors.Router that moving slots needs."""

    async def evict(
        self,
        is_leaving: Callable[[ActorId], bool],
        readdress: Callable[[ActorId, object, "asyncio.Future[object] | None", float], None],
        *,
        within: float,
    ) -> None: ...


class Cluster:
    """Make it, give `transport` to the router, `attach` the router, then `run()` it in a task."""

    def __init__(
        self,
        me: str,
        member: Member,
        *,
        bus: Bus,
        directory: Directory,
        claims: Claims,
        prefix: str,
        audience: Audience,
        codec: Codec,
        on_undelivered: Callable[[object], None],
        on_changed: Callable[[frozenset[int]], None],
        on_missed: Callable[[], None],
    ) -> None:
        self.prefix = prefix
        """What every Redis name of this shop begins with."""
        self.slots = Slots(me, member, directory, claims)
        self._links = Links(me, bus, prefix, self)
        self.transport = ClusterTransport(
            self.slots, self._links, codec, on_undelivered=on_undelivered
        )
        self.bridge = Bridge(me, audience, self._links)
        self._router: ActorRouter | None = None
        self._on_changed = on_changed
        self._on_missed = on_missed
        self._met: dict[str, None] = {}
        self.slots.attach(self)

    def attach(self, router: ActorRouter) -> None:
        self._router = router

    async def run(self) -> None:
        """Listen first, so that whoever hears of this instance can speak to it. Until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.create_task(self._links.run())
            await self._links.is_up.wait()
            tasks.create_task(self.slots.run())

    async def drain(self, *, within_s: float) -> bool:
        """Pass all actors on; False when that could not be done in time."""
        return await self.slots.leave(within_s=within_s)

    def link_state(self, peer: str) -> LinkState | None:
        """How the talk with that instance goes; None with oneself."""
        return None if peer == self.slots.me else self._links.state(peer)

    def _say_moved(self) -> None:
        for peer in self._met:
            self._links.send(peer, SlotsMoved())

    # --- Residents of the slots -------------------------------------------------------------------

    async def leave(self, slots: frozenset[int]) -> None:
        if self._router is not None:
            await self._router.evict(
                lambda id: slot_of(id.key) in slots,
                self.transport.readdress,
                within=LEAVE_WITHIN_S,
            )

    def settled(self, slots: frozenset[int]) -> None:
        self._meet(self.slots.members)
        self.transport.settled(slots)
        self._on_changed(slots)

    def moved(self) -> None:
        self._say_moved()

    def _meet(self, members: Iterable[str]) -> None:
        """Greet who is new, forget who has gone."""
        before, self._met = self._met, {name: None for name in members if name != self.slots.me}
        for peer in self._met:
            if peer not in before:
                self.bridge.meet(peer)
        for peer in before:
            if peer not in self._met:
                self.bridge.part(peer)
                self._links.forget(peer)

    # --- Listener of the links --------------------------------------------------------------------

    def take(self, peer: str, envelope: Envelope) -> None:
        match envelope:
            case Tell() | Ask() | Answered() | Failed():
                self.transport.take(peer, envelope)
            case Publish() | Reply() | Close() | Interest():
                self.bridge.take(peer, envelope)
            case SlotsMoved():
                self.slots.look_now()

    def missed(self, peer: str) -> None:
        """It began anew: answers may be missing, and perhaps it had forgotten where we listen."""
        if peer in self._met:
            self.bridge.meet(peer)
        self.transport.lost(peer)
        self._on_missed()

    def lost(self, peer: str, envelopes: list[Envelope]) -> None:
        """The link begins anew: say again where we listen, ask again what was asked."""
        if peer in self._met:
            self.bridge.meet(peer)
        self.transport.lost(peer)

    def gone(self, peer: str) -> None:
        self.slots.suspect(peer)
        if peer not in self._met:  # it came and went between two beats, or has not been seen yet
            self.bridge.part(peer)
            self._links.forget(peer)
        self.transport.lost(peer)
        self._say_moved()
