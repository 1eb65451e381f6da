"""How actors reach actors of other instances: the runtime's Transport over the links.

A question is kept until its answer comes. When whoever had it is gone, what may safely be asked
twice is asked of the slot's next owner; the rest ends in ActorStopped, because nobody knows whether
it was done. A request that is only told counts as a question whose answer nobody awaits. The order
is asking.py's.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from actors import (
    ActorCrashed,
    ActorError,
    ActorId,
    ActorStopped,
    ActorUnavailable,
    DeadlineExceeded,
    MailboxFull,
    NoRoute,
    Request,
)
from actors.remote import Deliver
from kefu.cluster.asking import Asking, Parcel
from kefu.cluster.codec import Codec, UnknownMessage
from kefu.cluster.envelopes import MOVED, Answered, Ask, Failed, Tell
from kefu.cluster.links import Links
from kefu.cluster.placement import slot_of
from kefu.cluster.slots import Slots

TELL_WITHIN_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.05
GUESTS_PER_SLOT: Final = 1000
ERRORS: Final[dict[str, type[ActorError]]] = {
    error.__name__: error
    for error in (
        ActorCrashed,
        ActorStopped,
        ActorUnavailable,
        DeadlineExceeded,
        MailboxFull,
        NoRoute,
    )
}
log = logging.getLogger("kefu.cluster")


class ClusterTransport:
    """`on_undelivered` gets the requests that were told and came to nothing."""

    def __init__(
        self,
        slots: Slots,
        links: Links,
        codec: Codec,
        *,
        on_undelivered: Callable[[object], None] = lambda _message: None,
    ) -> None:
        self._slots = slots
        self._links = links
        self._codec = codec
        self._on_undelivered = on_undelivered
        self._deliver: Deliver | None = None
        self._asking = Asking()
        self._turned_away: set[tuple[str, int]] = set()
        """(instance, slot): what it asks of the slot is turned away until it begins again."""
        self._guests: dict[int, list[tuple[str, Ask]]] = {}
        """Questions of other instances for a slot that is about to be ours, or that is ours while
        our own questions to its earlier owner are not settled: an actor that is awake already would
        be given new messages of this instance before those."""

    # --- the runtime's port -----------------------------------------------------------------------

    def is_local(self, id: ActorId) -> bool:
        """Not before what was sent to earlier owners of its slot is settled."""
        slot = slot_of(id.key)
        return self._slots.is_mine(slot) and not self._asking.is_busy(slot)

    def attach(self, deliver: Deliver) -> None:
        self._deliver = deliver

    def detach(self) -> None:
        self._deliver = None

    def tell(self, id: ActorId, message: object) -> bool:
        if isinstance(message, Request):
            parcel = self._question(id, message, TELL_WITHIN_S, is_told=True)
            return self._put(parcel) or _cancel(parcel)
        return self._put(self._asking.parcel(id, message))

    async def ask(self, id: ActorId, message: object, *, within: float) -> object:
        parcel = self._question(id, message, within)
        assert parcel.answer is not None
        if not self._put(parcel):
            _cancel(parcel)
            raise ActorUnavailable(f"{id} cannot be reached now; try again later")
        return await parcel.answer

    def _question(
        self, id: ActorId, message: object, within: float, *, is_told: bool = False
    ) -> Parcel:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[object] = loop.create_future()
        parcel = self._asking.parcel(id, message, answer, loop.time() + within)
        late = loop.call_later(within, _expire, parcel)

        def close(done: "asyncio.Future[object]") -> None:
            late.cancel()
            self._asking.settle(parcel)
            self._try_release(parcel.slot)
            if not done.cancelled() and done.exception() is not None and is_told:
                self._on_undelivered(message)

        answer.add_done_callback(close)
        return parcel

    # --- out --------------------------------------------------------------------------------------

    def _put(self, parcel: Parcel) -> bool:
        owner = self._slots.owner(parcel.slot)
        if owner == self._slots.me:  # it has just become ours; what waits for it goes first
            owner = None
        if not self._asking.is_clear(parcel.slot, owner):
            self._look_again_soon(parcel.slot)
            return self._asking.park(parcel)
        assert owner is not None
        return self._send(parcel, owner)

    def _send(self, parcel: Parcel, owner: str, *, is_again: bool = False) -> bool:
        (kind, key), (name, body) = parcel.id, self._codec.message(parcel.message)
        if parcel.answer is None:
            return self._links.send(owner, Tell(kind, key, name, body))
        left_s = parcel.expires_at - asyncio.get_running_loop().time()
        ask_id = self._asking.sent(parcel, owner)
        ask = Ask(ask_id, kind, key, name, body, max(1, int(left_s * 1000)), is_again)
        if self._links.send(owner, ask):
            return True
        self._asking.settle(parcel)
        return False

    # --- when slots change hands ------------------------------------------------------------------

    def settled(self, slots: frozenset[int]) -> None:
        """These slots have an owner (again)."""
        for slot in slots & (self._asking.parked_slots | self._guests.keys()):
            self._try_release(slot)

    def lost(self, peer: str) -> None:
        """What that instance was asked may never have reached it, or died with it."""
        for parcel in self._asking.asked_of(peer):
            self._asking.settle(parcel)
            assert parcel.answer is not None
            if getattr(parcel.message, "may_repeat", False):
                self._asking.park(parcel, is_turned_away=True)
                self._look_again_soon(parcel.slot)
            elif not parcel.answer.done():
                parcel.answer.set_exception(_stopped(parcel.id))
        self._turned_away = {each for each in self._turned_away if each[0] != peer}

    def _look_again_soon(self, slot: int) -> None:
        asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._try_release, slot)

    def _try_release(self, slot: int) -> None:
        owner = self._slots.owner(slot)
        if owner is not None and self._asking.may_release(slot):
            self._release(slot, owner)
        if not self._must_wait(slot):
            for peer, ask in self._guests.pop(slot, ()):
                self._asked(peer, ask)

    def _must_wait(self, slot: int) -> bool:
        """Whether what others ask of the slot cannot be let in yet."""
        if self._slots.is_mine(slot):
            return self._asking.is_busy(slot)
        return self._slots.is_coming(slot)

    def _release(self, slot: int, owner: str) -> None:
        is_again = True
        for parcel in self._asking.release(slot):
            if owner == self._slots.me:
                self._hand_in(parcel)
            elif not self._send(parcel, owner, is_again=is_again):
                _fail(parcel, ActorUnavailable(f"{parcel.id} cannot be reached now"))
            if parcel.answer is not None:
                is_again = False

    def _hand_in(self, parcel: Parcel) -> None:
        """To an actor that lives here by now."""
        within = None
        if parcel.answer is not None:
            within = max(0.0, parcel.expires_at - asyncio.get_running_loop().time())
        try:
            outcome = self._door()(parcel.id, parcel.message, within=within)
        except ActorError as error:
            _fail(parcel, error)
            return
        if outcome is not None and parcel.answer is not None:
            answer = parcel.answer
            outcome.add_done_callback(lambda done: _copy(done, answer))

    def _door(self) -> Deliver:
        if self._deliver is None:
            raise ActorStopped("this instance is stopping; try again elsewhere")
        return self._deliver

    def readdress(
        self, id: ActorId, message: object, answer: "asyncio.Future[Any] | None", within: float
    ) -> None:
        """A message that waited for an actor whose slot leaves this instance follows it. A request
        that was only told is a question from here on, as in `tell`: what is new waits behind it."""
        if answer is None and isinstance(message, Request):
            parcel = self._question(id, message, TELL_WITHIN_S, is_told=True)
        else:
            now = asyncio.get_running_loop().time()
            parcel = self._asking.parcel(id, message, answer, now + within)
        if answer is not None:
            answer.add_done_callback(lambda _done: self._settle(parcel))
        if not self._put(parcel):
            _fail(parcel, _stopped(id))

    def _settle(self, parcel: Parcel) -> None:
        self._asking.settle(parcel)
        self._try_release(parcel.slot)

    # --- in ---------------------------------------------------------------------------------------

    def take(self, peer: str, envelope: "Tell | Ask | Answered | Failed") -> None:
        """Handle what another instance sent."""
        match envelope:
            case Tell():
                self._told(envelope)
            case Ask():
                self._asked(peer, envelope)
            case Answered() | Failed():
                self._answered(envelope)

    def _told(self, tell: Tell) -> None:
        id = ActorId(tell.kind, tell.key)
        try:
            message = self._codec.read_message(tell.kind, tell.name, tell.body)
            if self.is_local(id):
                self._door()(id, message, within=None)
            else:
                self._put(self._asking.parcel(id, message))
        except (UnknownMessage, ActorError) as error:
            log.warning("message_dropped", extra={"type": tell.name, "error": type(error).__name__})

    def _asked(self, peer: str, ask: Ask) -> None:
        slot, place = slot_of(ask.key), (peer, slot_of(ask.key))
        if ask.is_again:
            self._turned_away.discard(place)
        must_wait = slot in self._guests or self._must_wait(slot)
        if must_wait and place not in self._turned_away:
            self._wait(slot, peer, ask)
        elif not self._slots.is_mine(slot) or place in self._turned_away:
            self._turned_away.add(place)  # nor what it sent right behind: the order is to be kept
            self._links.send(peer, Failed(ask.ask_id, MOVED))
        else:
            self._deliver_question(peer, ask)

    def _wait(self, slot: int, peer: str, ask: Ask) -> None:
        guests = self._guests.setdefault(slot, [])
        if len(guests) < GUESTS_PER_SLOT:
            guests.append((peer, ask))
        else:
            self._links.send(peer, Failed(ask.ask_id, MailboxFull.__name__, "too much waits there"))

    def _deliver_question(self, peer: str, ask: Ask) -> None:
        id = ActorId(ask.kind, ask.key)
        try:
            message = self._codec.read_message(ask.kind, ask.name, ask.body)
            outcome = self._door()(id, message, within=ask.within_ms / 1000)
        except UnknownMessage:
            self._links.send(peer, Failed(ask.ask_id, NoRoute.__name__, f"{ask.name} is not known"))
            return
        except ActorError as error:
            self._links.send(peer, Failed(ask.ask_id, type(error).__name__, str(error)))
            return
        assert outcome is not None
        outcome.add_done_callback(lambda done: self._answer(peer, ask, done))

    def _answer(self, peer: str, ask: Ask, done: "asyncio.Future[Any]") -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            name, body = self._codec.answer(done.result())
            self._links.send(peer, Answered(ask.ask_id, name, body))
        elif isinstance(error, ActorStopped) and not self._slots.is_mine(slot_of(ask.key)):
            self._turned_away.add((peer, slot_of(ask.key)))
            self._links.send(peer, Failed(ask.ask_id, MOVED))
        else:
            self._links.send(peer, Failed(ask.ask_id, type(error).__name__, str(error)))

    def _answered(self, envelope: Answered | Failed) -> None:
        parcel = self._asking.find(envelope.ask_id)
        if parcel is None or parcel.answer is None or parcel.answer.done():
            return
        if isinstance(envelope, Failed):
            if envelope.error == MOVED:
                self._asking.settle(parcel)
                self._asking.park(parcel, is_turned_away=True)
                self._slots.look_now()
                self._look_again_soon(parcel.slot)
            else:
                error = ERRORS.get(envelope.error, ActorUnavailable)
                parcel.answer.set_exception(error(envelope.sentence))
            return
        try:
            value = self._codec.read_answer(parcel.message, envelope.name, envelope.body)
        except UnknownMessage as error:
            parcel.answer.set_exception(NoRoute(str(error)))
        else:
            parcel.answer.set_result(value)


def _stopped(id: ActorId) -> ActorStopped:
    return ActorStopped(f"{id} moved while it was asked; look before you ask again")


def _fail(parcel: Parcel, error: ActorError) -> None:
    if parcel.answer is not None and not parcel.answer.done():
        parcel.answer.set_exception(error)


def _cancel(parcel: Parcel) -> bool:
    """It could not even be sent, and whoever sent it is told so at once. Always False."""
    if parcel.answer is not None:
        parcel.answer.cancel()
    return False


def _expire(parcel: Parcel) -> None:
    error = DeadlineExceeded(f"{parcel.id} did not answer before the deadline")
    _fail(parcel, error)


def _copy(done: "asyncio.Future[Any]", answer: "asyncio.Future[object]") -> None:
    if done.cancelled():
        return
    error = done.exception()  # looked at in any case, or asyncio complains
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())
