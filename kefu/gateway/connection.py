"""One client's connection, whatever it travels on.

Frames take effect in their order: what can be done at once is done in the reader's own step, what
must wait is done by a worker, and while the worker is busy everything queues behind it. The reader
never waits, so that a slow answer cannot stop the heartbeat.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from actors import ActorError, Ref, Request
from kefu.conversations.messages import Describe, Refusal
from kefu.delivery import Origin
from kefu.errors import Problem
from kefu.gateway import replay
from kefu.gateway.chat_view import Admission, ChatView
from kefu.gateway.limits import ASK_WITHIN_S, INBOX_FRAMES, OUTBOX_FRAMES, FrameRate, InvalidFrames
from kefu.gateway.outbox import Outbox, Outgoing, Stalled, Wire
from kefu.gateway.owed import Owed
from kefu.gateway.ports import Backstage
from kefu.gateway.role import Role
from kefu.gateway.sense import EPHEMERAL, Ended, makes_sense
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ERRORS, CloseCode, ErrorCode
from protocol.customer import Ping, Resume
from protocol.server import (
    ChatStatus,
    Departure,
    Error,
    Fault,
    GoAway,
    MessageAck,
    NewMessage,
    ToWorkbench,
)
from protocol.wire import Rejection

Work = Coroutine[Any, Any, None]
Encode = Callable[[Outgoing], Wire | None]
WRONG_FORMAT = Rejection(
    ErrorCode.INVALID_MESSAGE, "Text frames carry JSON, binary ones MessagePack where agreed."
)
log = logging.getLogger("kefu.gateway")


class Connection:
    """A `Listener` of the hub. `send` writes one frame and may wait; nothing else here does.

    `write_now`, where the transport has it, writes at once or says that it cannot. `encode` is
    asked in the order in which frames go out; its None keeps a frame back. `topics` and `rate`
    replace the role's and the connection's own.
    """

    def __init__(
        self,
        connection_id: str,
        role: Role,
        backstage: Backstage,
        send: Callable[[Wire], Awaitable[None]],
        *,
        write_now: Callable[[Wire], bool] | None = None,
        encode: Encode = Outgoing.json,
        is_binary: bool = False,
        is_agents: bool = False,
        topics: tuple[str, ...] | None = None,
        rate: FrameRate | None = None,
    ) -> None:
        self.id = connection_id
        self.role = role
        self.backstage = backstage
        self.topics = role.topics if topics is None else topics
        self.is_agents = is_agents
        self.views: dict[UUID, ChatView[Outgoing]] = {}
        self.awaited: set[UUID] = set()
        """Chats whose older messages are to come before anything that follows their status."""
        self.owed = Owed()
        self._ended = Ended()
        self.close_code: CloseCode | None = None
        self.is_lost = False
        self.is_present = False
        """Whether it was opened: a single request is no presence."""
        self._is_binary = is_binary
        self._encode = encode
        self._outbox = Outbox(send, write_now)
        self._inbox: deque[Callable[[], Work | None]] = deque()
        self._worker: asyncio.Task[None] | None = None
        now = backstage.clock.monotonic()
        self._rate = rate or FrameRate(backstage.frame_rate, backstage.frame_burst, now)
        self._invalid = InvalidFrames()
        self._word_count = 0
        self._silence = (0, now)

    def origin(self, frame_id: str | None = None) -> Origin:
        return Origin(self.id, frame_id)

    def silent_for_s(self, now: float) -> float:
        """How long neither side said anything, as far as one sees who asks again and again."""
        if self._silence[0] != self._word_count:
            self._silence = (self._word_count, now)
        return now - self._silence[1]

    # --- from the client --------------------------------------------------------------------------

    def open(self, greet: Callable[[], Awaitable[None]] | None = None) -> None:
        """Begin to listen, and greet before anything the client says is looked at."""
        self.is_present = True
        self.backstage.hub.add(self)
        self._start(self._greet(greet or partial(self.role.greet, self)))

    def visit(self) -> None:
        """Be where answers are sent to; nobody is greeted, nobody counts as present."""
        self.backstage.hub.add(self)

    async def _greet(self, greet: Callable[[], Awaitable[None]]) -> None:
        """Who cannot be told how their chats stand would wait for messages in vain: come back."""
        try:
            await greet()
        except (ActorError, StoreUnavailable, Problem):
            self.close(CloseCode.OVERLOADED)
        except Stalled:
            self.close(CloseCode.SLOW_CONSUMER)
        except Exception:
            log.exception("greeting_failed")
            self.close(CloseCode.OVERLOADED)

    def receive(self, data: str | bytes) -> None:
        """Take one frame from the wire."""
        if self.close_code is None:
            self.take(self._read(data))

    def _read(self, data: str | bytes) -> Any:
        """The frame or a Rejection; each connection speaks one format."""
        if isinstance(data, bytes) != self._is_binary:
            return WRONG_FORMAT
        return self.role.read(data)

    def take(self, frame: Any) -> None:
        """Do what the frame says as soon as its turn comes. A Rejection only counts."""
        if not isinstance(frame, Ping):
            self._word_count += 1
        now = self.backstage.clock.monotonic()
        wait_s = self._rate.take(now)
        is_rejected = isinstance(frame, Rejection)
        frame_id = frame.frame_id if is_rejected else frame.id
        if wait_s:
            self.error(ErrorCode.RATE_LIMITED, frame_id=frame_id, retry_after_s=round(wait_s, 3))
            self._count_invalid(now)
        elif is_rejected:
            self.error(frame.code, frame.sentence, frame_id=frame_id)
            self._count_invalid(now)
        else:
            self.backstage.metrics.note_received(type(frame))
            self._enqueue(frame)

    def _enqueue(self, frame: Any) -> None:
        if self._worker is None:
            self._start(self._attempt(frame))
        elif len(self._inbox) < INBOX_FRAMES:
            self._inbox.append(lambda: self._attempt(frame))
        else:
            self.error(ErrorCode.OVERLOADED, frame_id=frame.id, retry_after_s=1.0)

    def _attempt(self, frame: Any) -> Work | None:
        try:
            if isinstance(frame, Resume):  # the same for everybody
                point = frame.payload
                work: Work | None = replay.resume(self, point.chat_id, point.last_seq, frame.id)
            else:
                work = self.role.handle(self, frame)
        except Problem as problem:
            self._tell(problem, frame.id)
            return None
        except Exception:
            self._own_up(frame.id)
            return None
        return self._answered(work, frame.id) if work is not None else None

    async def _answered(self, work: Work, frame_id: str | None) -> None:
        """Whatever goes wrong, the client hears of it under its frame's id."""
        try:
            await work
        except Problem as problem:
            self._tell(problem, frame_id)
        except (ActorError, StoreUnavailable):
            self.error(ErrorCode.OVERLOADED, frame_id=frame_id, retry_after_s=1.0)
        except Stalled:
            self.close(CloseCode.SLOW_CONSUMER)
        except Exception:
            self._own_up(frame_id)

    def _count_invalid(self, now: float) -> None:
        if self._invalid.count(now):
            self.close(CloseCode.ABUSIVE)

    def _start(self, work: Work | None) -> None:
        if work is not None:
            self._worker = asyncio.get_running_loop().create_task(self._work(work))

    async def _work(self, work: Work) -> None:
        try:
            await work
            while self._inbox:
                more = self._inbox.popleft()()
                if more is not None:
                    await more
        finally:
            self._worker = None

    async def settled(self) -> None:
        """Return when everything taken so far is done, but for answers that are still to come."""
        while self._worker is not None:
            await asyncio.wait([self._worker])

    # --- to the client ----------------------------------------------------------------------------

    def deliver(self, outgoing: Outgoing) -> None:
        """Take a frame of the hub, in the chat's order if it belongs to one."""
        self._word_count += 1
        self.owed.note(frame := outgoing.frame)
        if isinstance(frame, NewMessage | MessageAck):
            self._deliver_counted(outgoing, frame)
        elif isinstance(frame, ChatStatus):
            if (status := self._ended.true(frame)) is not None:
                self._deliver_status(self.role.decorate(status), outgoing)
        elif makes_sense(frame, self.views) and self.role.hears(frame):
            self.put(outgoing)

    def _deliver_counted(self, outgoing: Outgoing, frame: NewMessage | MessageAck) -> None:
        view = self.views.get(frame.payload.chat_id)
        is_receipt = isinstance(frame, MessageAck)
        if view is not None and (is_receipt or not view.is_leaving):
            admission = view.admit(frame.payload.seq, outgoing, is_receipt=is_receipt)
            self._follow(admission, view, frame.payload.chat_id, outgoing)
        elif is_receipt:  # of a message sent earlier, in a chat that is over
            self.put(outgoing)

    def _deliver_status(self, frame: ChatStatus, outgoing: Outgoing) -> None:
        state = frame.payload
        if frame is not outgoing.frame:
            outgoing = Outgoing(frame)
        is_ours = bool(self.topics) and self.role.follows(state)
        view = self.views.get(state.chat_id)
        if view is None:
            self.put(outgoing)
            if is_ours:
                view = self.views[state.chat_id] = ChatView(state.last_seq, outgoing)
                if state.chat_id in self.awaited:
                    view.hold()
            return
        if view.is_leaving and is_ours and state.last_seq < view.known:
            # said before the chat left, by another instance, and late
            if frame.reply_to is None:
                return
            state = replace(state, last_seq=view.known)
            outgoing = Outgoing(replace(frame, payload=state))
        if view.is_leaving:
            admission = view.admit_status_after_leaving(state.last_seq, outgoing, is_return=is_ours)
        else:
            admission = view.admit_status(state.last_seq, outgoing)
        self._follow(admission, view, state.chat_id, outgoing)
        view.is_leaving = not is_ours
        self.forget(state.chat_id, view)

    def forget(self, chat_id: UUID, view: ChatView[Outgoing]) -> None:
        """Follow a chat that left us no longer, once what was held back for it has gone out."""
        if view.is_leaving and not view.held_count and self.views.get(chat_id) is view:
            del self.views[chat_id]

    def _follow(
        self, admission: Admission, view: ChatView[Outgoing], chat_id: UUID, outgoing: Outgoing
    ) -> None:
        match admission:
            case Admission.SEND:
                self.put(outgoing)
            case Admission.FILL:
                self._queue(lambda: self._answered(replay.fill(self, view, chat_id), None))
            case Admission.HOLD if view.held_count > OUTBOX_FRAMES:
                self.close(CloseCode.SLOW_CONSUMER)
            case _:
                pass

    def attend(self, make: Callable[[], Work]) -> None:
        """Do this after what was taken so far; not at all when that is much."""
        if len(self._inbox) < INBOX_FRAMES:
            self._queue(make)

    def _queue(self, make: Callable[[], Work]) -> None:
        if self._worker is None:
            self._start(make())
        else:
            self._inbox.append(make)

    def put(self, outgoing: Outgoing) -> None:
        """Queue it for the client; one that is too slow is let go."""
        if self.close_code is not None:
            return
        if type(outgoing.frame) in EPHEMERAL and self._outbox.is_crowded:
            self.backstage.metrics.shed_count += 1
            return
        wire = self._encode(outgoing)
        if wire is not None:
            self.backstage.metrics.sent_count += 1
            self.push(wire)

    def push(self, wire: Wire) -> None:
        """Queue what is no frame, a heartbeat perhaps."""
        if self.close_code is None and not self._outbox.put(wire):
            self.close(CloseCode.SLOW_CONSUMER)

    def say(self, frame: ToWorkbench) -> None:
        self.put(Outgoing(frame))

    async def say_patiently(self, frame: ToWorkbench) -> None:
        """For long replays: as fast as the client reads. Raises Stalled."""
        await self._outbox.wait_for_room()
        self.say(frame)

    def announce_end(self, after_s: float) -> None:
        """Say when this connection will be closed, so that the client can move before that."""
        departure = Departure(reconnect_after_ms=int(after_s * 1000))
        self.say(GoAway(departure, self.backstage.clock.now()))

    def error(
        self,
        code: ErrorCode,
        sentence: str | None = None,
        *,
        frame_id: str | None = None,
        chat_id: UUID | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.backstage.metrics.errors.labels(code).inc()
        if code is ErrorCode.OVERLOADED and retry_after_s is None:
            retry_after_s = 1.0
        fault = Fault(code, sentence or ERRORS[code].sentence, chat_id, retry_after_s)
        self.say(Error(fault, self.backstage.clock.now(), frame_id))

    def _tell(self, problem: Problem, frame_id: str | None) -> None:
        retry_after_s = problem.retry_after_s
        self.error(problem.code, problem.message, frame_id=frame_id, retry_after_s=retry_after_s)

    def _own_up(self, frame_id: str | None) -> None:
        """A bug of ours: in the log with its place, to the client as what it is."""
        log.exception("frame_failed")
        self.error(ErrorCode.INTERNAL, frame_id=frame_id)

    # --- actors -----------------------------------------------------------------------------------

    def tell(self, ref: Ref[Any], message: Any, frame_id: str | None) -> None:
        """Pass a message on without waiting; its answer comes through the hub."""
        if not ref.tell(message):
            self.error(ErrorCode.OVERLOADED, frame_id=frame_id, retry_after_s=1.0)

    async def ask(self, ref: Ref[Any], message: Request[Any]) -> Any:
        """Wait until the message took effect, so that the next frame finds it done."""
        return await ref.ask(message, within=ASK_WITHIN_S)

    async def look(self, ref: Ref[Any], question: Describe) -> None:
        """Have a chat's state sent, if there is one. Raises Problem when nobody can say now."""
        answer = await self.ask(ref, question)
        passing = (ErrorCode.OVERLOADED, ErrorCode.INTERNAL)
        if isinstance(answer, Refusal) and answer.code in passing:
            raise Problem(answer.code)

    # --- the end ----------------------------------------------------------------------------------

    def close(self, code: CloseCode) -> None:
        """Say no more than what is queued, then close. The first reason counts."""
        if self.close_code is None and not self.is_lost:
            self.close_code = code
            self.backstage.metrics.closed.labels(str(int(code))).inc()
            self._outbox.seal(drop=code is CloseCode.SLOW_CONSUMER)

    def lost(self) -> None:
        """The client is gone: nothing more can be written."""
        self.is_lost = True
        self._outbox.seal(drop=True)

    async def write(self) -> None:
        """Write until closed or lost. Raises Stalled, or what the wire raises."""
        await self._outbox.write()

    def leave(self) -> None:
        """Stop listening. The last step, always."""
        self.backstage.hub.remove(self)
        if self.is_present:
            self.role.leave(self)
        if self._worker is not None:
            self._worker.cancel()
