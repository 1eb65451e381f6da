"""What an agent's frames mean, on any socket and on the workbench.

A chat's conversation is found by its customer; who that is never changes, so it is looked up once.
"""

from collections.abc import Collection, Coroutine
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from msgspec.structs import replace

from kefu.agents import messages as agents
from kefu.agents.tokens import AgentIdentity
from kefu.conversations import messages as conversations
from kefu.delivery import WORKBENCH, Origin, agent_topic, session_topic
from kefu.dispatch import messages as dispatch
from kefu.errors import Problem
from kefu.gateway.connection import Connection
from kefu.gateway.ports import Backstage
from kefu.gateway.product_sends import checked
from kefu.gateway.supervision import Supervision
from protocol import agent as frames
from protocol import customer as shared
from protocol.codes import ErrorCode
from protocol.server import (
    AgentStatus,
    ChatState,
    ChatStatus,
    Pong,
    QueueSnapshot,
    QueueUpdate,
    ToWorkbench,
    TransferOutcome,
    TransferResult,
)
from protocol.wire import from_agent, from_workbench

Work = Coroutine[Any, Any, None]


class AgentRole:
    def __init__(
        self, identity: AgentIdentity, backstage: Backstage, *, is_workbench: bool
    ) -> None:
        self.person = agent_topic(identity.agent_id)
        own = (self.person, session_topic(identity.session_id))
        self.topics = (*own, WORKBENCH) if is_workbench else own
        self._identity = identity
        self._backstage = backstage
        self._is_workbench = is_workbench
        self._is_supervisor = identity.role in ("supervisor", "admin")
        self._ref = backstage.ref(agents.KIND, str(identity.agent_id))
        self._party = conversations.Party(
            "agent", identity.agent_id, identity.name, self._is_supervisor
        )
        self._owner_by_chat: dict[UUID, UUID] = {}
        self._own: set[UUID] = set()
        """The chats in this agent's charge, by the last status that came of each."""
        self._supervision = Supervision(self._party, self._own)
        self._feed: tuple[str, int] | None = None
        """Up to where this connection was sent the list without a hole."""

    @property
    def expires_at(self) -> datetime:
        return self._identity.expires_at

    def read(self, data: str | bytes) -> Any:
        reader: Any = from_workbench if self._is_workbench else from_agent
        if isinstance(data, bytes):
            return reader.read_msgpack(data)
        return reader.read_json(data)

    def decorate(self, status: ChatStatus) -> ChatStatus:
        state = status.payload
        if state.customer is not None:
            self._owner_by_chat[state.chat_id] = state.customer.id
        if self._is_own(state):
            self._own.add(state.chat_id)
        else:
            self._own.discard(state.chat_id)
        return status

    @property
    def customer_id(self) -> UUID | None:
        return None

    @property
    def agent_id(self) -> UUID | None:
        return self._identity.agent_id

    def hears(self, frame: ToWorkbench) -> bool:
        """All but changes of the list that came already, on another way."""
        if isinstance(frame, QueueSnapshot):
            self._feed = (frame.payload.feed_id, frame.payload.feed_seq)
        elif isinstance(frame, QueueUpdate | AgentStatus):
            feed_id, feed_seq = self._feed or (None, 0)
            if frame.payload.feed_id != feed_id:  # of a list it does not have
                return True
            if frame.payload.feed_seq <= feed_seq:
                return frame.reply_to is not None  # asked for by the client itself
            if frame.payload.feed_seq == feed_seq + 1:
                self._feed = (feed_id, feed_seq + 1)
        return True

    @property
    def watched(self) -> Collection[UUID]:
        return self._supervision.watched - self._own

    async def look_at(self, connection: Connection, chat_id: UUID) -> None:
        look = conversations.Describe(self._party, chat_id, connection.origin())
        await connection.look(self._conversation(await self._owner(chat_id)), look)

    def come_again(self, connection: Connection) -> None:
        self._ref.tell(agents.Connected(connection.id))
        if self._is_workbench:
            point = self._feed or (None, None)
            feed = dispatch.SubscribeFeed(connection.origin(), self._identity.agent_id, *point)
            self._queue().tell(feed)

    def _is_own(self, state: ChatState) -> bool:
        is_mine = state.agent is not None and state.agent.id == self._identity.agent_id
        return is_mine and state.status == "active"

    def follows(self, state: ChatState) -> bool:
        return self._is_own(state) or self._supervision.follows(state)

    async def may_read(self, connection: Connection, chat_id: UUID) -> bool:
        return await self._find_owner(chat_id) is not None

    async def greet(self, connection: Connection) -> None:
        """Every chat in the agent's charge, then the queue, then what is on offer to them."""
        chats = await connection.ask(self._ref, agents.Connected(connection.id))
        if not isinstance(chats, dict):
            raise Problem(ErrorCode.OVERLOADED)
        for chat_id, customer_id in chats.items():
            look = conversations.Describe(self._party, chat_id, connection.origin())
            await connection.look(self._conversation(customer_id), look)
        if self._is_workbench:
            feed = dispatch.SubscribeFeed(connection.origin(), self._identity.agent_id)
            if not self._queue().tell(feed):  # without its list a workbench shows nobody waiting
                raise Problem(ErrorCode.OVERLOADED)
        self._ref.tell(agents.ShowOffers(connection.origin()))

    def leave(self, connection: Connection) -> None:
        self._ref.tell(agents.Disconnected(connection.id))

    # --- frames -----------------------------------------------------------------------------------

    def handle(self, connection: Connection, frame: Any) -> Work | None:
        asked: frames.FromWorkbench = frame
        assert not isinstance(asked, shared.Resume), "the connection sees to that"
        match asked:
            case shared.SendMessage() | shared.Typing() | shared.MarkRead():
                return self._in_chat(connection, asked)
            case shared.Ping():
                connection.say(Pong(self._backstage.clock.now(), reply_to=asked.id))
            case frames.SubscribeQueue(payload=point):
                feed = dispatch.SubscribeFeed(
                    connection.origin(asked.id),
                    self._identity.agent_id,
                    point.feed_id,
                    point.last_feed_seq,
                )
                connection.tell(self._queue(), feed, asked.id)
            case frames.DeclineOffer(payload=choice):
                decline = dispatch.DeclineOffer(
                    connection.origin(asked.id), self._identity.agent_id, choice.chat_id
                )
                connection.tell(self._queue(), decline, asked.id)
            case frames.SetStatus(payload=choice):
                origin = connection.origin(asked.id)
                return self._ask_desk(
                    connection, agents.SetStatus(origin, choice.status, choice.note)
                )
            case frames.RespondTransfer(payload=answer):
                origin = connection.origin(asked.id)
                return self._ask_desk(
                    connection, agents.AnswerOffer(origin, answer.request_id, answer.accept)
                )
            case frames.AcceptChat() | frames.TakeOverChat():
                return self._take(connection, asked)
            case frames.TransferChat():
                return self._transfer(connection, asked)
            case shared.EndChat() | frames.ReleaseChat() | frames.AddNote():
                return self._change(connection, asked)
            case frames.RequestAssist():
                return self._ask_assist(connection, asked)
            case frames.WatchChat() | frames.UnwatchChat() | frames.Whisper():
                self._supervision.check()
                return self._supervise(connection, asked)
            case _:
                assert_never(asked)
        return None

    def _in_chat(
        self, connection: Connection, asked: shared.SendMessage | shared.Typing | shared.MarkRead
    ) -> Work | None:
        """The frames of every second: at once when we know whose chat it is, as we mostly do."""
        chat_id = asked.payload.chat_id or self._only_chat()
        owner = self._owner_by_chat.get(chat_id)
        if owner is None or _is_card(asked):
            return self._look_first(connection, asked, chat_id)
        self._pass_on(connection, asked, chat_id, owner)
        return None

    async def _look_first(
        self,
        connection: Connection,
        asked: shared.SendMessage | shared.Typing | shared.MarkRead,
        chat_id: UUID,
    ) -> None:
        """For whose chat it is, and for the product; what is said behind it stays behind it."""
        owner = await self._owner(chat_id)
        if isinstance(asked, shared.SendMessage) and _is_card(asked):
            own_id = self._identity.agent_id
            sent = await checked(self._backstage, asked.payload, sender=own_id, customer=owner)
            asked = replace(asked, payload=sent)
        self._pass_on(connection, asked, chat_id, owner)

    def _pass_on(
        self,
        connection: Connection,
        asked: shared.SendMessage | shared.Typing | shared.MarkRead,
        chat_id: UUID,
        owner: UUID,
    ) -> None:
        origin, conversation = connection.origin(asked.id), self._conversation(owner)
        match asked:
            case shared.SendMessage(payload=sent):
                message = conversations.SendMessage(
                    origin=origin,
                    sender=self._party,
                    content=sent.content,
                    message_type=sent.message_type,
                    chat_id=chat_id,
                    client_message_id=sent.client_message_id,
                )
                connection.tell(conversation, message, asked.id)
            case shared.Typing(payload=typing):
                conversation.tell(
                    conversations.ShowTyping(origin, self._party, typing.is_typing, chat_id)
                )
            case shared.MarkRead(payload=mark):
                conversation.tell(conversations.MarkRead(origin, self._party, mark.seq, chat_id))

    async def _take(
        self, connection: Connection, asked: frames.AcceptChat | frames.TakeOverChat
    ) -> None:
        chat_id, origin = asked.payload.chat_id, connection.origin(asked.id)
        owner = await self._owner(chat_id)
        if isinstance(asked, frames.AcceptChat):
            accept = agents.Accept(origin, chat_id, owner)
            await connection.owed.ask(connection, self._ref, accept, asked.id)
        else:
            take_over = agents.TakeOver(origin, chat_id, owner, self._is_supervisor)
            await connection.owed.ask(connection, self._ref, take_over, asked.id)

    async def _transfer(self, connection: Connection, asked: frames.TransferChat) -> None:
        wish = asked.payload
        if wish.to_agent_id is None:
            return await self._hand_to_team(connection, asked)
        receive = agents.Receive(
            origin=connection.origin(asked.id),
            chat_id=wish.chat_id,
            customer_id=await self._owner(wish.chat_id),
            from_agent_id=self._identity.agent_id,
            from_agent_name=self._identity.name,
            is_supervisor=self._is_supervisor,
            wants_offer=wish.offer,
            reason=wish.reason,
            note=wish.note,
        )
        colleague = self._backstage.ref(agents.KIND, str(wish.to_agent_id))
        await connection.owed.ask(connection, colleague, receive, asked.id)

    async def _hand_to_team(self, connection: Connection, asked: frames.TransferChat) -> None:
        wish = asked.payload
        team_id = wish.to_team_id
        if team_id is None or team_id not in await self._backstage.known_teams():
            raise Problem(ErrorCode.AGENT_NOT_FOUND)
        requeue = conversations.RequeueChat(
            origin=connection.origin(asked.id),
            by=self._party,
            chat_id=wish.chat_id,
            team_id=team_id,
            reason=wish.reason,
            note=wish.note,
        )
        conversation = self._conversation(await self._owner(wish.chat_id))
        outcome = await connection.ask(conversation, requeue)
        if not isinstance(outcome, conversations.Refusal):
            result = TransferOutcome(wish.chat_id, "transferred", to_team_id=team_id)
            connection.say(TransferResult(result, self._backstage.clock.now(), asked.id))

    async def _change(
        self, connection: Connection, asked: shared.EndChat | frames.ReleaseChat | frames.AddNote
    ) -> None:
        origin: Origin = connection.origin(asked.id)
        chat_id = asked.payload.chat_id or self._only_chat()
        conversation = self._conversation(await self._owner(chat_id))
        match asked:
            case shared.EndChat():
                await connection.ask(
                    conversation, conversations.EndChat(origin, self._party, chat_id)
                )
            case frames.ReleaseChat():
                await connection.ask(
                    conversation, conversations.ReleaseChat(origin, self._party, chat_id)
                )
            case frames.AddNote(payload=note):
                await connection.ask(
                    conversation,
                    conversations.AddNote(origin, self._party, chat_id, note.content),
                )

    async def _ask_assist(self, connection: Connection, asked: frames.RequestAssist) -> None:
        wish = asked.payload
        assist = agents.Assist(
            origin=connection.origin(asked.id),
            chat_id=wish.chat_id,
            customer_id=await self._owner(wish.chat_id),
            from_agent_id=self._identity.agent_id,
            from_agent_name=self._identity.name,
            is_supervisor=self._is_supervisor,
            question=wish.question,
        )
        colleague = self._backstage.ref(agents.KIND, str(wish.to_agent_id))
        await connection.owed.ask(connection, colleague, assist, asked.id)

    async def _supervise(
        self,
        connection: Connection,
        asked: frames.WatchChat | frames.UnwatchChat | frames.Whisper,
    ) -> None:
        conversation = self._conversation(await self._owner(asked.payload.chat_id))
        match asked:
            case frames.WatchChat():
                await self._supervision.watch(connection, conversation, asked)
            case frames.UnwatchChat():
                await self._supervision.unwatch(connection, conversation, asked)
            case frames.Whisper():
                await self._supervision.whisper(connection, conversation, asked)

    async def _ask_desk(self, connection: Connection, request: Any) -> None:
        await connection.ask(self._ref, request)

    # --- finding ----------------------------------------------------------------------------------

    def _only_chat(self) -> UUID:
        """The agent's one active chat; Problem(CHAT_ID_REQUIRED) for none or several."""
        if len(self._own) != 1:
            raise Problem(ErrorCode.CHAT_ID_REQUIRED)
        return next(iter(self._own))

    async def _owner(self, chat_id: UUID) -> UUID:
        owner = await self._find_owner(chat_id)
        if owner is None:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        return owner

    async def _find_owner(self, chat_id: UUID) -> UUID | None:
        owner = self._owner_by_chat.get(chat_id)
        if owner is None:
            owner = await self._backstage.chats.owner(chat_id)
            if owner is not None:
                self._owner_by_chat[chat_id] = owner
        return owner

    def _conversation(self, customer_id: UUID) -> Any:
        return self._backstage.ref(conversations.KIND, str(customer_id))

    def _queue(self) -> Any:
        return self._backstage.ref(dispatch.KIND, dispatch.MAIN)


def _is_card(asked: shared.SendMessage | shared.Typing | shared.MarkRead) -> bool:
    return isinstance(asked, shared.SendMessage) and asked.payload.message_type == "product"
