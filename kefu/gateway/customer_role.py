"""What a customer's frames mean: nearly all of them go to their one conversation."""

from collections.abc import Collection, Coroutine
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from msgspec.structs import replace

from kefu.agents.tokens import CustomerIdentity
from kefu.conversations import messages as conversations
from kefu.delivery import Origin, customer_topic
from kefu.gateway.connection import Connection
from kefu.gateway.ports import Backstage
from kefu.gateway.product_sends import checked
from protocol import customer as frames
from protocol.server import ChatState, ChatStatus, Pong, ToWorkbench
from protocol.wire import Rejection, from_customer

Work = Coroutine[Any, Any, None]


class CustomerRole:
    """`guest_token` is given for guests: the first status tells them how to come back."""

    def __init__(
        self, identity: CustomerIdentity, backstage: Backstage, guest_token: str | None = None
    ) -> None:
        self.person = customer_topic(identity.customer_id)
        self.topics = (self.person,)
        self._identity = identity
        self._backstage = backstage
        self._guest_token = guest_token
        self._ref = backstage.ref(conversations.KIND, str(identity.customer_id))
        self._party = conversations.Party("customer", identity.customer_id, identity.name)
        self._customer = conversations.Customer(
            id=identity.customer_id,
            sub=identity.sub,
            name=identity.name,
            email=identity.email,
            phone=identity.phone,
            locale=identity.locale,
            is_vip=identity.vip,
            is_guest=identity.is_guest,
            is_signed=not identity.is_guest,
        )

    @property
    def expires_at(self) -> datetime:
        return self._identity.expires_at

    def read(self, data: str | bytes) -> frames.FromCustomer | Rejection:
        if isinstance(data, bytes):
            return from_customer.read_msgpack(data)
        return from_customer.read_json(data)

    async def greet(self, connection: Connection) -> None:
        """The open chat's status, if there is one, is the first frame."""
        look = conversations.Describe(self._party, origin=connection.origin())
        await connection.look(self._ref, look)

    def leave(self, connection: Connection) -> None:
        pass

    def decorate(self, status: ChatStatus) -> ChatStatus:
        if self._guest_token is None:
            return status
        guest_token, self._guest_token = self._guest_token, None
        return replace(status, payload=replace(status.payload, guest_token=guest_token))

    @property
    def customer_id(self) -> UUID | None:
        return self._identity.customer_id

    @property
    def agent_id(self) -> UUID | None:
        return None

    def hears(self, frame: ToWorkbench) -> bool:
        return True

    @property
    def watched(self) -> Collection[UUID]:
        return ()

    async def look_at(self, connection: Connection, chat_id: UUID) -> None:
        look = conversations.Describe(self._party, chat_id, connection.origin())
        await connection.look(self._ref, look)

    def come_again(self, connection: Connection) -> None:
        pass

    def follows(self, state: ChatState) -> bool:
        return state.status != "ended"

    async def may_read(self, connection: Connection, chat_id: UUID) -> bool:
        return await self._backstage.chats.owner(chat_id) == self._identity.customer_id

    def handle(self, connection: Connection, frame: Any) -> Work | None:
        asked: frames.FromCustomer = frame
        assert not isinstance(asked, frames.Resume), "the connection sees to that"
        origin = connection.origin(asked.id)
        match asked:
            case frames.SendMessage(payload=sent) if sent.message_type == "product":
                return self._send_card(connection, sent, asked.id)
            case frames.SendMessage(payload=sent):
                connection.tell(self._ref, self._message(origin, sent), asked.id)
                return None
            case frames.Typing(payload=typing):
                shown = conversations.ShowTyping(
                    origin, self._party, typing.is_typing, typing.chat_id
                )
                self._ref.tell(shown)
                return None
            case frames.MarkRead(payload=mark):
                self._ref.tell(conversations.MarkRead(origin, self._party, mark.seq, mark.chat_id))
                return None
            case frames.Ping():
                connection.say(Pong(self._backstage.clock.now(), reply_to=asked.id))
                return None
            case _:
                return self._ask(connection, self._request(origin, asked))

    async def _send_card(
        self, connection: Connection, sent: frames.OutgoingMessage, frame_id: str | None
    ) -> None:
        """What is said behind it waits until the product is looked up, and stays behind it."""
        own_id = self._identity.customer_id
        sent = await checked(self._backstage, sent, sender=own_id, customer=own_id)
        connection.tell(self._ref, self._message(connection.origin(frame_id), sent), frame_id)

    async def _ask(self, connection: Connection, request: Any) -> None:
        await connection.ask(self._ref, request)

    def _message(self, origin: Origin, sent: frames.OutgoingMessage) -> conversations.SendMessage:
        return conversations.SendMessage(
            origin=origin,
            sender=self._party,
            content=sent.content,
            message_type=sent.message_type,
            chat_id=sent.chat_id,
            client_message_id=sent.client_message_id,
            customer=self._customer,
        )

    def _request(
        self,
        origin: Origin,
        asked: frames.StartChat
        | frames.RequestHuman
        | frames.ReturnToBot
        | frames.EndChat
        | frames.RateChat,
    ) -> conversations.ConversationMessage:
        by = self._party
        match asked:
            case frames.StartChat(payload=p):
                return conversations.StartChat(
                    origin, self._customer, p.mode == "human", p.topic, p.order_id
                )
            case frames.RequestHuman(payload=p):
                return conversations.CallHuman(origin, by, p.chat_id, p.reason)
            case frames.ReturnToBot(payload=p):
                return conversations.ReturnToBot(origin, by, p.chat_id, p.reason)
            case frames.EndChat(payload=p):
                return conversations.EndChat(origin, by, p.chat_id, p.rating, p.feedback)
            case frames.RateChat(payload=p):
                return conversations.RateChat(origin, by, p.rating, p.chat_id, p.feedback)
            case _:
                assert_never(asked)
