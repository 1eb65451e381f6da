"""A person's program, as kefu's own SDK behaves: it keeps what is not acknowledged and comes back.

Every promise a client can check it checks. It acts by chance drawn from the seed, between messages.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from protocol.codes import ErrorCode
from protocol.server import AiDelta, ChatState, ChatStatus, Error, MessageAck, NewMessage
from tests.simulation.chat_copy import ChatCopy, OutOfTurn
from tests.simulation.network import Link

if TYPE_CHECKING:
    from tests.simulation.world import World

TRY_AGAIN: Final = {ErrorCode.OVERLOADED, ErrorCode.RATE_LIMITED, ErrorCode.INTERNAL}
IN_HAND: Final = 20
PATIENCE_S: Final = 15.0
ANSWER_WITHIN_S: Final = 60.0
LOOK_EVERY_S: Final = 5.0
RECONNECT_S: Final = (0.1, 5.0)
Then = Callable[[Any], None]


class Sending:
    """A message its sender still holds, or what became of it."""

    def __init__(self, key: str, payload: dict[str, Any]) -> None:
        self.key = key
        self.payload = payload
        self.receipt: tuple[UUID, int, UUID] | None = None
        self.refused: ErrorCode | None = None
        self.attempts = 0
        self.charge: tuple[str, str | None, int] | None = None
        """How the chat stood, durably, when it was said last."""
        self.place = (0, 0)
        """Which connection it went out on, and as the how-manieth frame."""


class Asked:
    __slots__ = ("at", "then", "type")

    def __init__(self, type: str, at: float, then: Then | None) -> None:
        self.type = type
        self.at = at
        self.then = then


class Client:
    """One device of one person. Subclasses say what the person does."""

    path = "/ws/chat"

    def __init__(self, world: "World", name: str, person_id: UUID, token: str) -> None:
        self.world = world
        self.name = name
        self.person_id = person_id
        self.random = Random(f"{world.seed} {name}")
        self.is_binary = self.random.random() < 0.3
        self.link: Link | None = None
        self.is_ready = False
        self.copies: dict[UUID, ChatCopy] = {}
        self.sendings: dict[str, Sending] = {}
        self.pending: dict[str, Sending] = {}
        self.asked: dict[str, Asked] = {}
        self._token = token
        self._connection_count = 0
        self._frame_count = 0
        self._failures = 0
        self._heard_at = 0.0

    # --- what the person is -----------------------------------------------------------------------

    def follows(self, state: ChatState) -> bool:
        raise NotImplementedError

    def act(self) -> None:
        """Do something, once in a while."""
        raise NotImplementedError

    def flood(self) -> None:
        """A program gone wild."""
        for _ in range(80):
            self.say("ping")

    def greeted(self) -> None:
        """Connected, and told how things stand."""

    def hear(self, frame: Any) -> None:
        """A frame that is not about messages."""

    def refused(self, sending: Sending) -> None:
        """A message that is not to be sent again."""

    # --- the connection ---------------------------------------------------------------------------

    def start(self) -> None:
        self.world.later(self.random.uniform(0.0, 2.0), self.connect)
        self.world.later(self.random.uniform(2.0, 4.0), self._live)
        self.world.later(LOOK_EVERY_S, self._look)

    def connect(self) -> None:
        if self.link is not None:
            return
        self._connection_count += 1
        self._frame_count = 0
        self._heard_at = self.world.now
        self.link = self.world.connect(self, self.path, self._token)
        if self.link is None:
            self._come_back()

    def on_open(self, link: Link) -> None:
        if link is self.link:
            self.say("ping", then=lambda _pong: self._greeted())

    def _greeted(self) -> None:
        self._failures = 0
        self.is_ready = True
        self.greeted()
        for sending in list(self.pending.values()):
            self._put(sending)

    def on_close(self, link: Link, code: int) -> None:
        if link is self.link:
            self.note("hear", "closed", code)
            self._drop()

    def reconnect(self) -> None:
        """Give the connection up."""
        if self.link is not None:
            self.link.leave()
            self._drop()

    def _drop(self) -> None:
        self.link = None
        self.is_ready = False
        self.asked.clear()
        for copy in self.copies.values():
            copy.connected_anew()
        self._come_back()

    def _come_back(self) -> None:
        first_s, cap_s = RECONNECT_S
        delay_s = min(cap_s, first_s * 2.0**self._failures) * self.random.uniform(0.5, 1.0)
        self._failures += 1
        self.link = None
        self.world.later(delay_s, self.connect)

    def _live(self) -> None:
        pause_s = self.random.expovariate(1.0) * self.world.pause_s
        self.world.later(max(0.01, pause_s), self._live)
        if self.is_ready and len(self.pending) < IN_HAND:
            self.act()

    def _look(self) -> None:
        """A silent connection is given up; one that only leaves an answer out is a broken one."""
        self.world.later(LOOK_EVERY_S, self._look)
        link, now = self.link, self.world.now
        if link is None:
            return
        for asked in self.asked.values():
            is_late = now - asked.at > ANSWER_WITHIN_S
            if is_late and not link.was_harmed and not link.process.is_dead:
                self.world.violate("I12", f"{self.name} got no answer to {asked.type}")
        if now - self._heard_at > PATIENCE_S:
            self.note("fail", "silence")
            self.reconnect()
        elif self.is_ready:
            self.say("ping")

    # --- saying -----------------------------------------------------------------------------------

    def say(
        self, type: str, payload: Any = None, *, then: Then | None = None, is_answered: bool = True
    ) -> None:
        """Send a frame; `then` is called with its answer, whatever that is."""
        link = self.link
        if link is None:
            return
        self._frame_count += 1
        id = self.last_frame_id
        if is_answered:
            self.asked[id] = Asked(type, self.world.now, then)
        frame = {"type": type, "id": id}
        if payload is not None:
            frame["payload"] = payload
        if type not in ("ping", "send_message"):
            self.note("invoke", type, *(payload or {}).values())
        link.say(self.encoded(frame))
        self.world.sent += 1

    def encoded(self, frame: dict[str, Any]) -> str | bytes:
        """In the format this device speaks."""
        if self.is_binary:
            return msgspec.msgpack.encode(frame)
        return msgspec.json.encode(frame).decode()

    @property
    def last_frame_id(self) -> str:
        return f"{self._connection_count}-{self._frame_count}"

    def send(self, content: str, chat_id: UUID | None = None) -> None:
        """A new message, kept until it is acknowledged."""
        key = f"{self.name}-{len(self.sendings) + 1}"
        payload: dict[str, Any] = {"content": content, "client_message_id": key}
        if chat_id is not None:
            payload["chat_id"] = chat_id
        sending = self.sendings[key] = self.pending[key] = Sending(key, payload)
        self.world.count_message()
        self._put(sending)

    def _put(self, sending: Sending) -> None:
        if self.link is None:
            return
        sending.attempts += 1
        charge = self.world.rules.charge_of(sending.payload.get("chat_id"))
        # what was refused to an earlier attempt, under another's charge, stays refused
        sending.charge = charge if sending.attempts == 1 or charge == sending.charge else None
        self.note("invoke", "send_message", sending.key, *sending.payload.values())
        self.say("send_message", sending.payload, then=lambda frame: self._sent(sending, frame))
        sending.place = (self._connection_count, self._frame_count)

    def send_again(self, sending: Sending) -> None:
        """An impatient person: what was said already, under the same key."""
        self._put(sending)

    def _sent(self, sending: Sending, frame: Any) -> None:
        if not isinstance(frame, Error) or sending.key not in self.pending:
            return
        fault = frame.payload
        self.note("fail", "send_message", sending.key, fault.code.value)
        if fault.code in TRY_AGAIN:
            sending.attempts += 1  # what comes behind it may be written before it
            pause_s = (fault.retry_after_s or 0.5) * self.random.uniform(1.0, 2.0)
            link = self.link
            self.world.later(pause_s, lambda: self._retry(sending, link))
        else:
            sending.refused = fault.code
            self.refused(sending)
            del self.pending[sending.key]

    def _retry(self, sending: Sending, link: Link | None) -> None:
        if sending.key in self.pending and self.is_ready and link is self.link:
            self._put(sending)

    def resume(self, copy: ChatCopy) -> None:
        """Ask for what is missing; the pong behind it says that all of it has come."""
        if copy.is_asked or self.link is None:
            return
        payload = {"chat_id": copy.chat_id, "last_seq": copy.ask()}
        answers: list[Any] = []

        def then(frame: Any) -> None:
            answers.append(frame)
            if isinstance(frame, Error):
                self._resume_refused(copy, frame)
            else:
                self._check(lambda: copy.take_answer(frame.payload))

        self.say("resume", payload, then=then)
        self._ping_behind(copy, answers)

    def _ping_behind(self, copy: ChatCopy, answers: list[Any]) -> None:
        """One that is refused, at once and before its turn, says nothing of what is before it."""
        link = self.link

        def again() -> None:
            if link is self.link:
                self._ping_behind(copy, answers)

        def then(answer: Any) -> None:
            if isinstance(answer, Error):
                self.world.later(1.0, again)
            else:
                self._resumed(copy, answers)

        self.say("ping", then=then)

    def _resume_refused(self, copy: ChatCopy, frame: Any) -> None:
        copy.is_asked = False
        self.note("fail", "resume", copy.chat_id, frame.payload.code.value)
        if frame.payload.code not in TRY_AGAIN:
            self.world.violate("I14", f"{self.name} may not resume: {frame.payload.code}")
        link = self.link
        self.world.later(1.0, lambda: self._resume_again(copy, link))

    def _resume_again(self, copy: ChatCopy, link: Link | None) -> None:
        if link is self.link and (copy.is_followed or copy.status != "ended"):
            self.resume(copy)

    def _resumed(self, copy: ChatCopy, answers: list[Any]) -> None:
        if not answers:
            self.world.violate("I12", f"{self.name} got no answer to a resume")
        elif not isinstance(answers[0], Error):
            self._check(copy.answered)
            if copy.must_ask_again:
                self.resume(copy)

    # --- hearing ----------------------------------------------------------------------------------

    def on_frame(self, link: Link, frame: Any) -> None:
        if link is not self.link:
            return
        self._heard_at = self.world.now
        match frame:
            case NewMessage(payload=message):
                copy = self._copy(message.chat_id)
                self.note("hear", "new_message", message.chat_id, message.seq, message.content)
                self._check(lambda: copy.take_message(message.seq, message.message_id))
            case MessageAck():
                self._acknowledged(frame)
            case AiDelta(payload=piece):
                self._heard_the_bot(piece.chat_id)
            case ChatStatus(payload=state) if not self._answers_resume(frame.reply_to):
                self._status(state)
            case Error(payload=fault):
                self.note("fail", "error", frame.reply_to, fault.code.value)
                if fault.code is ErrorCode.RATE_LIMITED and frame.reply_to is None:
                    self.reconnect()  # which of our frames was refused is not said
                    return
            case _:
                pass
        self.hear(frame)
        asked = self.asked.pop(frame.reply_to, None) if frame.reply_to else None
        if asked is not None and asked.then is not None:
            asked.then(frame)

    def _heard_the_bot(self, chat_id: UUID) -> None:
        copy = self.copies.get(chat_id)
        if copy is None or copy.status != "bot":
            was = copy.status if copy is not None else "unknown"
            self.world.violate("I8", f"{self.name} heard the bot in {chat_id}, which was {was}")

    def _answers_resume(self, frame_id: str | None) -> bool:
        asked = self.asked.get(frame_id) if frame_id is not None else None
        return asked is not None and asked.type == "resume"

    def _status(self, state: ChatState) -> None:
        copy = self._copy(state.chat_id)
        self.note("hear", "chat_status", state.chat_id, state.status, state.last_seq)
        must_ask: list[bool] = []
        follows = self.follows(state)
        self._check(lambda: must_ask.append(copy.take_status(state, follows=follows)))
        if True in must_ask:
            copy.must_ask_again = copy.is_asked
            self.resume(copy)

    def _acknowledged(self, frame: MessageAck) -> None:
        receipt = frame.payload
        key = receipt.client_message_id or ""
        sending = self.sendings.get(key)
        self.note("ok", "send_message", key, receipt.chat_id, receipt.seq)
        if sending is None:
            self.world.violate("I2", f"{self.name} got a receipt for {key}, never sent")
            return
        told = (receipt.chat_id, receipt.seq, receipt.message_id)
        if sending.receipt not in (None, told):
            self.world.violate("I2", f"{key} was acknowledged as {sending.receipt} and {told}")
        sending.receipt = told
        self.pending.pop(key, None)
        copy = self._copy(receipt.chat_id)
        self._check(lambda: copy.take_receipt(receipt.seq, receipt.message_id))

    def _copy(self, chat_id: UUID) -> ChatCopy:
        copy = self.copies.get(chat_id)
        if copy is None:
            may_lag = self.world.node_count > 1
            copy = self.copies[chat_id] = ChatCopy(chat_id, may_lag=may_lag)
        return copy

    def _check(self, take: Callable[[], object]) -> None:
        try:
            take()
        except OutOfTurn as error:
            self.world.violate("I14", f"{self.name}: {error}")

    def note(self, kind: Any, what: str, *details: object) -> None:
        self.world.note(self.name, kind, what, *details)
