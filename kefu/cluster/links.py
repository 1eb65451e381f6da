"""The talk with every other instance: envelopes in, envelopes out, each once and in order.

While one PUBLISH to an instance is under way, the next frame for it gathers: the Redis round trip
is the batching window. Time is the event loop's. The rules of one direction are in link.py.
"""

import asyncio
import logging
from collections import deque
from typing import Final, Protocol

import msgspec

from kefu.cluster import envelopes
from kefu.cluster.envelopes import Carry, Confirm, Envelope
from kefu.cluster.link import Arrival, Numbered, Receiver, Sender
from kefu.cluster.ports import Bus, BusUnavailable

FRAME_ENVELOPES: Final = 512
FRAME_BYTES: Final = 64 * 1024
WAITING_ENVELOPES: Final = 20_000
FORGOTTEN_KEPT: Final = 64
TICK_S: Final = 0.05
CONFIRM_AFTER_S: Final = 0.02
GONE_AFTER_S: Final = 0.15
"""A subscription of the other side that is being renewed is not there either, for a moment."""
log = logging.getLogger("kefu.cluster")


def inbox_of(prefix: str, instance: str) -> str:
    """The channel that instance listens to."""
    return f"{prefix}i:{instance}"


class Listener(Protocol):
    """Whoever handles what the links bring."""

    def take(self, peer: str, envelope: Envelope) -> None:
        """Handle one envelope; never wait."""
        ...

    def missed(self, peer: str) -> None:
        """Something of that instance never came and never will: look at the truth again."""
        ...

    def lost(self, peer: str, envelopes: list[Envelope]) -> None:
        """These may never have reached that instance."""
        ...

    def gone(self, peer: str) -> None:
        """Nobody listens where that instance should."""
        ...


class LinkState(msgspec.Struct, frozen=True):
    """How the talk with one instance goes; for people."""

    is_heard: bool
    """False: nobody listened there when it was last spoken to."""
    waiting: int
    """Envelopes that were not sent yet."""
    unconfirmed: int
    """Frames that were sent and not confirmed yet."""
    breaks: int
    """How often the link began anew."""


class _Peer:
    """Both directions of the talk with one instance."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sender: Sender[tuple[bytes, list[Envelope]]] = Sender(0)
        self.receiver = Receiver()
        self.waiting: deque[Envelope] = deque()
        self.again: deque[Numbered[tuple[bytes, list[Envelope]]]] = deque()
        self.owes_confirm = False
        self.is_pumping = False
        self.unheard_since: float | None = None


class Links:
    """`me` is this instance. Start `run()` in a task of its own."""

    def __init__(self, me: str, bus: Bus, prefix: str, listener: Listener) -> None:
        self._me = me
        self._bus = bus
        self._prefix = prefix
        self._listener = listener
        self._peers: dict[str, _Peer] = {}
        self._forgotten: dict[str, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._up_since: float | None = None
        self.is_up = asyncio.Event()

    # --- out --------------------------------------------------------------------------------------

    def send(self, peer: str, envelope: Envelope) -> bool:
        """Put it on its way; False when too much waits already."""
        found = self._peer(peer)
        if len(found.waiting) >= WAITING_ENVELOPES:
            return False
        self._forgotten.pop(peer, None)
        found.waiting.append(envelope)
        self._wake(found)
        return True

    def forget(self, peer: str) -> None:
        """That instance seems to be no more; what was for it is given back as lost.

        Where both directions stood is kept for a while: it may be that only Redis forgot it.
        """
        found = self._peers.get(peer)
        if found is None:
            return
        self._give_back(found)
        self._forgotten[peer] = None
        if len(self._forgotten) > FORGOTTEN_KEPT:
            oldest = next(iter(self._forgotten))
            del self._forgotten[oldest], self._peers[oldest]

    def knows(self, peer: str) -> bool:
        return peer in self._peers

    def state(self, peer: str) -> LinkState | None:
        """None while nothing was ever said."""
        found = self._peers.get(peer)
        if found is None:
            return None
        sender = found.sender
        is_heard = found.unheard_since is None
        return LinkState(is_heard, len(found.waiting), sender.held_count, sender.life)

    def _peer(self, name: str) -> _Peer:
        found = self._peers.get(name)
        if found is None:
            found = self._peers[name] = _Peer(name)
        return found

    def _wake(self, peer: _Peer) -> None:
        if not peer.is_pumping:
            peer.is_pumping = True
            task = asyncio.get_running_loop().create_task(self._pump(peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, peer: _Peer) -> None:
        """Send what waits, one PUBLISH at a time; what cannot be sent now is sent again later."""
        try:
            await asyncio.sleep(0)  # what is said in one go travels in one frame
            while self._peers.get(peer.name) is peer and (peer.again or peer.waiting):
                numbered = peer.again.popleft() if peer.again else self._next(peer)
                await self._publish(peer, self._carry(peer, numbered))
        except BusUnavailable:
            pass  # it is held, and goes again when it is due
        finally:
            peer.is_pumping = False

    def _next(self, peer: _Peer) -> Numbered[tuple[bytes, list[Envelope]]]:
        batch: list[Envelope] = []
        parts: list[bytes] = []
        size = 0
        while peer.waiting and len(batch) < FRAME_ENVELOPES and size < FRAME_BYTES:
            envelope = peer.waiting.popleft()
            part = envelopes.encode(envelope)
            batch.append(envelope)
            parts.append(part)
            size += len(part)
        body = envelopes.encode([msgspec.Raw(part) for part in parts])
        return peer.sender.add((body, batch), len(body), self._now())

    def _carry(self, peer: _Peer, numbered: Numbered[tuple[bytes, list[Envelope]]]) -> bytes:
        has = peer.receiver
        peer.owes_confirm = False
        frame = Carry(
            sender=self._me,
            life=numbered.life,
            number=numbered.number,
            has_life=-1 if has.life is None else has.life,
            has_number=has.number,
            body=msgspec.Raw(numbered.body[0]),
        )
        return envelopes.encode(frame)

    async def _publish(self, peer: _Peer, data: bytes) -> None:
        heard_by = await self._bus.publish(inbox_of(self._prefix, peer.name), data)
        now = self._now()
        if heard_by:
            peer.unheard_since = None
        elif peer.unheard_since is None:
            peer.unheard_since = now
        elif now - peer.unheard_since >= GONE_AFTER_S and self._is_settled(now):
            peer.unheard_since = None
            self._listener.gone(peer.name)

    def _is_settled(self, now: float) -> bool:
        """Whether our own subscription stands: when it does not, Redis has just come back."""
        return self._up_since is not None and now - self._up_since >= 1.0

    # --- in ---------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take one frame from our inbox."""
        try:
            frame = envelopes.decode_frame(data)
        except msgspec.MsgspecError:
            log.warning("frame_unreadable")
            return
        peer, now = self._peer(frame.sender), self._now()
        if isinstance(frame, Carry):
            peer.sender.confirm(frame.has_life, frame.has_number, now)
            self._arrived(peer, frame)
        elif frame.is_missing:
            self._send_again(peer, peer.sender.missing(frame.life, frame.number, now))
        else:
            peer.sender.confirm(frame.life, frame.number, now)

    def _arrived(self, peer: _Peer, frame: Carry) -> None:
        arrival = peer.receiver.arrive(frame.life, frame.number)
        if arrival is Arrival.EARLY:
            known = peer.receiver.number if peer.receiver.life == frame.life else 0
            self._say(peer, Confirm(self._me, frame.life, known, is_missing=True))
            return
        self._confirm_soon(peer)
        if arrival is Arrival.AGAIN:
            return
        try:
            body = envelopes.decode_body(frame.body)
        except msgspec.MsgspecError:
            log.warning("frame_unreadable")
            self._listener.missed(peer.name)
            return
        if arrival is Arrival.TAKE_AFTER_GAP:
            self._listener.missed(peer.name)
        for envelope in body:
            try:
                self._listener.take(peer.name, envelope)
            except Exception:  # a bug: it must not end the listening to everybody
                log.exception("envelope_failed")

    def _confirm_soon(self, peer: _Peer) -> None:
        """With the next frame that goes there, or by itself when none does."""
        if not peer.owes_confirm:
            peer.owes_confirm = True
            asyncio.get_running_loop().call_later(CONFIRM_AFTER_S, self._confirm, peer)

    def _confirm(self, peer: _Peer) -> None:
        has = peer.receiver
        if peer.owes_confirm and has.life is not None:
            peer.owes_confirm = False
            self._say(peer, Confirm(self._me, has.life, has.number))

    def _say(self, peer: _Peer, frame: Confirm) -> None:
        async def say() -> None:
            try:
                await self._publish(peer, envelopes.encode(frame))
            except BusUnavailable:
                pass  # the other side sends again and is told then

        task = asyncio.get_running_loop().create_task(say())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- time -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen, and send again what is due, until cancelled."""
        channel = inbox_of(self._prefix, self._me)
        ticking = asyncio.get_running_loop().create_task(self._tick())
        try:
            await self._bus.listen(channel, self.receive, self._on_up)
        finally:
            for task in (ticking, *self._tasks):
                task.cancel()

    def _on_up(self, is_up: bool) -> None:
        self._up_since = self._now() if is_up else None
        if is_up:
            self.is_up.set()
        else:
            self.is_up.clear()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self._now()
            for peer in tuple(self._peers.values()):
                if peer.sender.is_broken(now):
                    self._give_back(peer)
                    continue
                self._send_again(peer, peer.sender.due(now))
                if peer.waiting:
                    self._wake(peer)

    def _give_back(self, peer: _Peer) -> None:
        lost = [one for _, batch in peer.sender.reset() for one in batch]
        lost += peer.waiting
        peer.waiting.clear()
        peer.again.clear()
        log.warning("link_broken", extra={"peer": peer.name, "lost_count": len(lost)})
        self._listener.lost(peer.name, lost)

    def _send_again(self, peer: _Peer, held: list[Numbered[tuple[bytes, list[Envelope]]]]) -> None:
        if held:
            peer.again = deque(held)
            self._wake(peer)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
