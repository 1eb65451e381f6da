"""Telling the world what a durable step changed: people by frames, other actors by messages.

People hear in the order of the events. A run of transitions is one `chat_status`, of its end. Who
hears is for visibility.py to say, and for nothing else.
"""

from typing import Any, Final
from uuid import UUID

from actors import ActorError, Context
from kefu.agents import messages as agents
from kefu.conversations import messages
from kefu.conversations.chat import Chat
from kefu.conversations.events import (
    AskedAfterHours,
    AssistAsked,
    BotAnswered,
    EmailLeft,
    NoteWritten,
    Remark,
    RemindedOfHours,
    Spoken,
    Unwatched,
    Watched,
    Whispered,
)
from kefu.conversations.frames import (
    chat_state,
    message_frame,
    receipt_frame,
    remark_frame,
    status_frame,
)
from kefu.conversations.keys import Known
from kefu.conversations.parties import AgentSeat
from kefu.conversations.ports import World
from kefu.conversations.pressing import is_pressing
from kefu.conversations.turn import Step, known_of
from kefu.conversations.visibility import Hearers, Topics, across, hearers_of, present
from kefu.delivery import Origin
from kefu.dispatch import messages as dispatch
from protocol.server import (
    AiDelta,
    AnswerPiece,
    ChatState,
    Read,
    ReadPoint,
    SomeoneTyping,
    TypingShown,
)

ENQUEUE_WITHIN_S = 1.0
NOBODY: Final = Hearers()


class Announcer:
    """Speaks for one conversation, and remembers its place in the queue."""

    def __init__(self, world: World, context: Context[Any]) -> None:
        self._world = world
        self._context = context
        self._position: int | None = None
        self._wait_s: tuple[int, int] | None = None
        self._present: tuple[Chat | None, Topics] = (None, ())
        """The chat whose pieces were told last, and who was in it: the same for most of them."""

    def state(self, chat: Chat | None, *, for_agents: bool = False) -> ChatState:
        assert chat is not None
        return chat_state(
            chat, queue_position=self._position, wait_s=self._wait_s, for_agents=for_agents
        )

    def describe(self, chat: Chat | None, message: messages.Describe) -> ChatState:
        """The answer to a look; a connection gets it as a frame, in order with all the others."""
        state = self.state(chat, for_agents=message.viewer.kind == "agent")
        if chat is not None and chat.phase == "pending_manual" and self._position is None:
            # the place was told to this conversation's life before: have it told again
            self._queue().tell(dispatch.Enqueue(waiting_of(chat)))
        if message.origin is not None:
            frame = status_frame(state, self._now(), message.origin.frame_id)
            self._world.publisher.reply(message.origin, frame)
        return state

    def answer(self, step: Step, message: messages.ConversationMessage) -> ChatState | None:
        """Tell whoever asked how the chat stands now, under their frame's id.

        Not who said something aside: a remark is answered by itself, watching by the gateway.
        """
        if step.chat is None:
            return None
        is_customers = isinstance(message, messages.StartChat) or _by_customer(message)
        state = self.state(step.chat, for_agents=not is_customers)
        origin: Origin | None = getattr(message, "origin", None)
        if origin is not None and not isinstance(message, messages.AsideMessage):
            frame = status_frame(state, self._now(), origin.frame_id)
            self._world.publisher.reply(origin, frame)
        return state

    async def tell_step(self, step: Step, message: messages.ConversationMessage) -> None:
        """Everything the step's events mean, in their order, to whom it concerns.

        Whoever sent the message hears of it by its receipt, whoever asked for a change by `answer`.
        """
        origin: Origin | None = getattr(message, "origin", None)
        skip = None if isinstance(message, messages.SendMessage) else origin
        before, run = step.before, NOBODY
        for event, chat in step.after:
            await self._tell_actors(before, chat)
            hearers = hearers_of(event, before, chat)
            match event:
                case Watched() | Unwatched() | BotAnswered() | EmailLeft():
                    pass  # no frame tells of it
                case AskedAfterHours() | RemindedOfHours():
                    pass
                case Spoken() | NoteWritten() | Whispered() | AssistAsked():
                    self._tell_status(run, before, skip)
                    run = NOBODY
                    self._tell_said(event, chat, hearers, message)
                case _:
                    run = run.joined_by(hearers)
            before = chat
        self._tell_status(run, before, skip)

    async def tell_found(self, said: Chat | None, chat: Chat) -> None:
        """The store holds more of the chat than was said: a commit whose outcome nobody heard did
        happen.

        The status is enough for people, since it says how far the messages go.
        """
        if said is None or (said.seq, said.log_id) != (chat.seq, chat.log_id):
            await self._tell_actors(said, chat)
            self._tell_status(present(said, chat), chat, None)

    def acknowledge(self, known: Known, message: messages.SendMessage) -> None:
        """The message is durable, now or since it was first sent."""
        frame = receipt_frame(known, message.client_message_id, message.origin.frame_id)
        self._world.publisher.reply(message.origin, frame)

    def tell_piece(self, chat: Chat, turn_id: UUID, text: str, answers_seq: int) -> None:
        """What the bot has just said. Nobody misses a piece for long: the whole answer follows."""
        if chat is not self._present[0]:
            hearers = present(None, chat)
            self._present = (chat, hearers.customer + hearers.staff)
        piece = AnswerPiece(chat.chat_id, turn_id, text, answers_seq)
        self._world.publisher.publish(self._present[1], AiDelta(piece, self._world.clock.now()))

    def tell_position(self, chat: Chat | None, message: messages.QueueMoved) -> None:
        is_ours = chat is not None and chat.chat_id == message.chat_id
        if chat is None or not is_ours or chat.phase != "pending_manual":
            return
        if (self._position, self._wait_s) != (message.position, message.wait_s):
            self._position, self._wait_s = message.position, message.wait_s
            frame = status_frame(self.state(chat), self._now())
            self._world.publisher.publish(present(None, chat).customer, frame)

    def tell_typing(self, chat: Chat | None, message: messages.ShowTyping) -> None:
        topics = across(chat, message.by)
        if chat is not None and topics:
            payload = SomeoneTyping(chat.chat_id, message.is_typing, message.by.kind)
            frame = TypingShown(payload, self._world.clock.now())
            self._world.publisher.publish(topics, frame, skip=message.origin)

    def tell_read(self, chat: Chat, message: messages.MarkRead) -> None:
        topics = across(chat, message.by)
        if topics:
            payload = ReadPoint(chat.chat_id, min(message.seq, chat.seq), message.by.kind)
            frame = Read(payload, self._world.clock.now())
            self._world.publisher.publish(topics, frame, skip=message.origin)

    def _tell_said(
        self,
        event: Spoken | Remark,
        chat: Chat,
        hearers: Hearers,
        message: messages.ConversationMessage,
    ) -> None:
        """What somebody said, in public or aside."""
        origin: Origin | None = getattr(message, "origin", None)
        publisher = self._world.publisher
        if isinstance(event, Spoken):
            if isinstance(message, messages.SendMessage) and event.sender.kind != "system":
                self.acknowledge(known_of(event), message)
            skip = None if event.sender.kind == "system" else origin
            publisher.publish(hearers.customer + hearers.staff, message_frame(event), skip=skip)
            return
        publisher.publish(hearers.staff, remark_frame(event, chat.chat_id), skip=origin)
        if origin is not None:
            publisher.reply(origin, remark_frame(event, chat.chat_id, origin.frame_id))

    def _tell_status(self, hearers: Hearers, chat: Chat | None, skip: Origin | None) -> None:
        """Where the chat stands, if that concerns anybody."""
        if chat is None or not hearers:
            return
        at, publisher = self._now(), self._world.publisher
        if hearers.customer:
            publisher.publish(hearers.customer, status_frame(self.state(chat), at), skip=skip)
        frame = status_frame(self.state(chat, for_agents=True), at)
        publisher.publish(hearers.staff, frame, skip=skip)

    async def _tell_actors(self, before: Chat | None, chat: Chat) -> None:
        was_waiting = before is not None and before.phase == "pending_manual"
        is_waiting = chat.phase == "pending_manual"
        if is_waiting and not was_waiting:
            self._position = await self._enqueue(chat)
        elif was_waiting and not is_waiting:
            self._position = self._wait_s = None
            is_taken = chat.phase == "manual_live"
            self._queue().tell(dispatch.Dequeue(chat.chat_id, is_taken))
        old, new = before.agent if before else None, chat.agent
        if _id(old) != _id(new):
            if old is not None:
                self._agent(old).tell(agents.ChatFreed(chat.chat_id))
            if new is not None:
                self._agent(new).tell(agents.ChatAssigned(chat.chat_id, chat.customer.id))

    async def _enqueue(self, chat: Chat) -> int | None:
        """The chat's place; without one the customer still waits, and hears of it later."""
        enqueue = dispatch.Enqueue(waiting_of(chat))
        try:
            position: int = await self._queue().ask(enqueue, within=ENQUEUE_WITHIN_S)
        except ActorError:
            return None
        return position

    def _queue(self) -> Any:
        return self._context.ref(dispatch.KIND, dispatch.MAIN)

    def _agent(self, seat: AgentSeat) -> Any:
        return self._context.ref(agents.KIND, str(seat.id))

    def _now(self) -> float:
        return self._world.clock.now().timestamp()


def waiting_of(chat: Chat) -> dispatch.Waiting:
    """The chat as the queue knows it; only for a chat that waits."""
    return dispatch.Waiting(
        chat_id=chat.chat_id,
        customer_id=chat.customer.id,
        since=chat.waiting_since or chat.opened_at,
        is_vip=chat.customer.is_vip,
        is_pressing=is_pressing(chat),
        is_returned=chat.reason == "agent_gone",
        customer_name=chat.customer.name,
        topic=chat.topic,
        reason=chat.reason,
        team_id=chat.team_id,
    )


def _id(seat: AgentSeat | None) -> UUID | None:
    return seat.id if seat else None


def _by_customer(message: messages.ConversationMessage) -> bool:
    by: messages.Party | None = getattr(message, "by", None)
    return by is not None and by.kind == "customer"
