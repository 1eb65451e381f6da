"""One agent: presence, places, and the way every chat takes to reach them.

Whether a chat may come is decided here, because only here are the places counted; whether it is
still to be had is decided by the conversation. A place is held from the question to the answer.
When no answer comes the place stays held until the store has been read again.
"""

from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from actors import Actor, ActorError, Request
from kefu.agents import messages, state
from kefu.agents.frames import OutcomeName, told, transfer_request, transfer_result
from kefu.agents.messages import AgentMessage, Verdict
from kefu.agents.ports import World
from kefu.agents.state import Desk, Offer
from kefu.cluster.placement import slot_of
from kefu.conversations import messages as conversations
from kefu.delivery import Origin, agent_topic
from kefu.dispatch import messages as dispatch
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ERRORS, ErrorCode
from protocol.server import Error, Fault, TransferRequest, TransferResult

LEFT_AFTER_S: Final = 15.0
OFFER_S: Final = 30.0
CONVERSATION_WITHIN_S: Final = 8.0
DOUBT_S: Final = 15.0
COMPARE_S: Final = 60.0
ASK_AGAIN_S: Final = 15.0
COMPARE_AGAIN_S: Final = 5.0
OFFER_LIMIT: Final = 20


class AgentActor(Actor[AgentMessage]):
    mailbox_limit = 1024

    def __init__(self, agent_id: UUID, world: World) -> None:
        self._agent_id = agent_id
        self._world = world
        self._slot = slot_of(str(agent_id))
        self._epoch = 0
        """Under which the places are counted; taken before they were read."""
        self._desk: Desk | None = None
        self._compared_at = 0.0

    def may_passivate(self) -> bool:
        return self._desk is None or not (
            self._desk.is_present
            or self._desk.offers
            or self._desk.reserved
            or self._desk.active  # somebody has to see to them when nobody comes back
        )

    async def receive(self, message: AgentMessage) -> object:
        try:
            desk = await self._current_desk()
        except StoreUnavailable:
            if isinstance(message, messages.Reminder):  # it comes once: refused it would be lost
                self._remind(ASK_AGAIN_S, message)
            return self._refuse(message, ErrorCode.OVERLOADED)
        if desk is None:
            return self._refuse(message, ErrorCode.AGENT_NOT_FOUND)
        if self._desk is None and not isinstance(message, messages.Connected):
            desk = self._seat(desk)
        self._desk = desk
        return await self._handle(desk, message)

    def _remind(self, after_s: float, reminder: messages.Reminder) -> None:
        self.context.remind(_key_of(reminder), after_s, reminder)

    async def _current_desk(self) -> Desk | None:
        """The desk as counted under the present epoch: another instance may have counted before."""
        epoch, desk = self._world.epoch_of(self._slot), self._desk
        if desk is not None and epoch == self._epoch:
            return desk
        stored = await self._world.desks.load(self._agent_id)
        self._epoch = epoch
        return stored if desk is None or stored is None else state.refresh(desk, stored)

    async def _handle(self, desk: Desk, message: AgentMessage) -> object:
        match message:
            case messages.Connected(connection_id=connection_id):
                return self._connect(desk, connection_id)
            case messages.Disconnected(connection_id=connection_id):
                self._move(state.disconnect(desk, connection_id))
                self._remind(LEFT_AFTER_S, messages.LeftForGood())
            case messages.LeftForGood():
                self._move(state.leave(desk))
                self._watch_over(self._desk or desk)
            case messages.GoneForGood():
                self._hand_back(desk)
            case messages.ShowOffers(origin=origin):
                for pending in desk.offers:
                    self._reply(origin, transfer_request(pending, self._world.clock.now()))
            case messages.TellPresence():
                self._tell_presence(desk)
            case messages.ChatAssigned(chat_id=chat_id, customer_id=customer_id):
                self._move(state.assign(desk, chat_id, customer_id))
            case messages.ChatFreed(chat_id=chat_id):
                self._move(state.free(desk, chat_id))
            case messages.SetStatus():
                return await self._set_status(desk, message)
            case messages.Accept() | messages.TakeOver():
                return await self._take(desk, message)
            case messages.Receive():
                return await self._receive(desk, message)
            case messages.Assist():
                return await self._assist(desk, message)
            case messages.AnswerOffer():
                return await self._answer_offer(desk, message)
            case messages.OfferExpired(request_id=request_id):
                offer = desk.find_offer(request_id)
                if offer is not None:
                    self._close_offer(offer, "expired")
            case messages.PlaceDoubtful(chat_id=chat_id):
                await self._settle_doubt(desk, chat_id)
            case messages.Compare():
                await self._compare(desk)
        return None

    # --- presence ---------------------------------------------------------------------------------

    def _connect(self, desk: Desk, connection_id: str) -> dict[UUID, UUID]:
        """Of a socket that is known already it means: something may have been missed."""
        is_again = connection_id in desk.connections
        if is_again and self._now() - self._compared_at >= COMPARE_AGAIN_S:
            self._compared_at = self._now()
            self.context.me.tell(messages.Compare())
        if not desk.is_present and desk.chosen == "offline":  # signing in again is coming back
            desk = state.choose(desk, "online", None)
        self._desk = self._seat(state.connect(desk, connection_id))
        self._tell_presence(self._desk)  # also when all is as it was: the queue may be a new one
        return dict(desk.active)

    def _seat(self, desk: Desk) -> Desk:
        """With the sockets that are open: one that failed over a message has forgotten them."""
        for connection_id in self._world.connections_of(desk.agent_id):
            desk = state.connect(desk, connection_id)
        if desk.is_present:
            self._remind(COMPARE_S, messages.Compare())
        self._watch_over(desk)
        return desk

    def _watch_over(self, desk: Desk) -> None:
        """Chats whose agent has gone wait for them for a while, then somebody else is found."""
        if desk.active and not desk.is_present:
            self._remind(self._world.gone_after_s, messages.GoneForGood())

    def _hand_back(self, desk: Desk) -> None:
        if desk.is_present:
            return
        for chat_id, customer_id in desk.active.items():
            conversation = self.context.ref(conversations.KIND, str(customer_id))
            conversation.tell(conversations.ReturnToQueue(chat_id, desk.agent_id))
        if desk.active:  # until each conversation has said that the chat is theirs no longer
            self._remind(ASK_AGAIN_S, messages.GoneForGood())

    async def _set_status(self, desk: Desk, message: messages.SetStatus) -> Verdict:
        try:
            await self._world.desks.save_status(desk.agent_id, message.status, message.note)
        except StoreUnavailable:
            return self._refuse(message, ErrorCode.OVERLOADED)
        self._move(state.choose(desk, message.status, message.note))  # the feed tells everybody
        return Verdict()

    def _move(self, desk: Desk) -> None:
        before, self._desk = self._desk, desk
        if before is None or told(before) != told(desk):
            self._tell_presence(desk)

    def _tell_presence(self, desk: Desk) -> None:
        self._queue().tell(told(desk))

    async def _compare(self, desk: Desk) -> None:
        """A chat's coming or going may have got lost on the way; the store is never behind."""
        if not desk.is_present:
            return
        self._remind(COMPARE_S, messages.Compare())
        for connection_id in desk.connections:
            if not self._world.is_living(connection_id):
                self.context.me.tell(messages.Disconnected(connection_id))
        try:
            stored = await self._world.desks.load(desk.agent_id)
        except StoreUnavailable:
            return
        if stored is not None:
            self._desk = state.refresh(desk, stored)
        self._tell_presence(self._desk or desk)

    # --- chats coming in --------------------------------------------------------------------------

    async def _take(self, desk: Desk, message: messages.Accept | messages.TakeOver) -> Verdict:
        if not desk.has_place_for(message.chat_id):
            return self._refuse(message, ErrorCode.AGENT_AT_CAPACITY)
        seat = conversations.AgentSeat(desk.agent_id, desk.name, desk.avatar_url)
        command: Request[conversations.Outcome]
        if isinstance(message, messages.Accept):
            command = conversations.AcceptChat(message.origin, seat, message.chat_id, self._guard())
        else:
            by = conversations.Party("agent", desk.agent_id, desk.name, message.is_supervisor)
            command = conversations.TakeOverChat(
                message.origin, seat, by, message.chat_id, self._guard()
            )
        return await self._ask_for(message.chat_id, message.customer_id, command, message)

    async def _ask_for(
        self,
        chat_id: UUID,
        customer_id: UUID,
        command: Request[conversations.Outcome],
        message: AgentMessage,
    ) -> Verdict:
        """Hold a place and ask the conversation; it tells the people, we keep the count."""
        assert self._desk is not None
        self._move(state.reserve(self._desk, chat_id))
        conversation = self.context.ref(conversations.KIND, str(customer_id))
        try:
            outcome = await conversation.ask(command, within=CONVERSATION_WITHIN_S)
        except ActorError:
            outcome = conversations.Refusal(ErrorCode.OVERLOADED)
            self._refuse(message, ErrorCode.OVERLOADED)
        if not isinstance(outcome, conversations.Refusal):
            self._move(state.assign(self._desk, chat_id, customer_id))
            return Verdict()
        if outcome.code is ErrorCode.OVERLOADED:  # it may have come all the same
            self._remind(DOUBT_S, messages.PlaceDoubtful(chat_id))
        else:
            self._move(state.unreserve(self._desk, chat_id))
        return Verdict(outcome.code)

    async def _settle_doubt(self, desk: Desk, chat_id: UUID) -> None:
        try:
            stored = await self._world.desks.load(desk.agent_id)
        except StoreUnavailable:
            self._remind(DOUBT_S, messages.PlaceDoubtful(chat_id))
            return
        desk = state.unreserve(desk, chat_id)
        self._move(state.refresh(desk, stored) if stored is not None else desk)

    # --- transfers --------------------------------------------------------------------------------

    async def _receive(self, desk: Desk, message: messages.Receive) -> Verdict:
        """A colleague passes a chat on: at once when we are free for it, else as an offer."""
        if not desk.is_present or desk.status == "offline":
            return self._refuse(message, ErrorCode.AGENT_OFFLINE)
        offer = Offer(
            request_id=self._world.entropy.uuid(),
            chat_id=message.chat_id,
            customer_id=message.customer_id,
            from_agent_id=message.from_agent_id,
            from_agent_name=message.from_agent_name,
            is_supervisor=message.is_supervisor,
            expires_at=self._now() + OFFER_S,
            reason=message.reason,
            note=message.note,
        )
        is_free = desk.status == "online" and desk.has_place_for(message.chat_id)
        if is_free and not message.wants_offer:
            verdict = await self._ask_for(
                message.chat_id,
                message.customer_id,
                self._transfer(desk, offer, message.origin),
                message,
            )
            if verdict.refused is None:
                self._reply(message.origin, self._result(offer, "transferred"))
            return verdict
        return await self._make_offer(desk, offer, message)

    async def _make_offer(self, desk: Desk, offer: Offer, message: messages.Receive) -> Verdict:
        if len(desk.offers) >= OFFER_LIMIT:
            return self._refuse(message, ErrorCode.AGENT_AT_CAPACITY)
        refused = await self._why_not_theirs(offer)
        if refused is not None:
            return self._refuse(message, refused)
        self._desk = state.add_offer(desk, offer)
        self._remind(OFFER_S, messages.OfferExpired(offer.request_id))
        self._world.publisher.publish(
            (agent_topic(desk.agent_id),), transfer_request(offer, self._world.clock.now())
        )
        self._reply(message.origin, self._result(offer, "offered"))
        return Verdict()

    async def _answer_offer(self, desk: Desk, message: messages.AnswerOffer) -> Verdict:
        offer = desk.find_offer(message.request_id)
        if offer is None:
            return self._refuse(message, ErrorCode.CHAT_NOT_FOUND)
        if not message.is_accepted:
            self._close_offer(offer, "declined")
            self._reply(message.origin, self._result(offer, "declined"))
            return Verdict()
        if not desk.has_place_for(offer.chat_id):
            return self._refuse(message, ErrorCode.AGENT_AT_CAPACITY)
        command = self._transfer(desk, offer, message.origin)
        verdict = await self._ask_for(offer.chat_id, offer.customer_id, command, message)
        if verdict.refused is not ErrorCode.OVERLOADED:  # else the offer stands: try again
            self._close_offer(offer, "transferred" if verdict.refused is None else "expired")
        return verdict

    def _close_offer(self, offer: Offer, outcome: OutcomeName) -> None:
        assert self._desk is not None
        self._desk = state.drop_offer(self._desk, offer)
        self.context.forget(_key_of(messages.OfferExpired(offer.request_id)))
        topics = (agent_topic(offer.from_agent_id),)
        self._world.publisher.publish(topics, self._result(offer, outcome))

    async def _why_not_theirs(self, offer: Offer) -> ErrorCode | None:
        """None when the colleague is in charge of what they offer (a supervisor of any chat)."""
        viewer = conversations.Party("agent", offer.from_agent_id, offer.from_agent_name)
        conversation = self.context.ref(conversations.KIND, str(offer.customer_id))
        try:
            found: conversations.Outcome = await conversation.ask(
                conversations.Describe(viewer, offer.chat_id), within=CONVERSATION_WITHIN_S
            )
        except ActorError:
            return ErrorCode.OVERLOADED
        if isinstance(found, conversations.Refusal):
            return found.code
        is_theirs = found.agent is not None and found.agent.id == offer.from_agent_id
        if found.status != "active" or not (is_theirs or offer.is_supervisor):
            return ErrorCode.CHAT_NOT_FOUND
        return None

    def _transfer(self, desk: Desk, offer: Offer, origin: Origin) -> conversations.TransferChat:
        by = conversations.Party(
            "agent", offer.from_agent_id, offer.from_agent_name, offer.is_supervisor
        )
        seat = conversations.AgentSeat(desk.agent_id, desk.name, desk.avatar_url)
        return conversations.TransferChat(
            origin, by, seat, offer.chat_id, offer.reason, offer.note, self._guard()
        )

    def _guard(self) -> tuple[int, int]:
        return (self._slot, self._epoch)

    def _result(self, offer: Offer, outcome: OutcomeName) -> TransferResult:
        return transfer_result(offer, outcome, self._agent_id, self._world.clock.now())

    async def _assist(self, desk: Desk, message: messages.Assist) -> Verdict:
        """A colleague's question reaches us while we are here; whether they may ask is said there,
        and the conversation tells us."""
        if not desk.is_present or desk.status == "offline":
            return self._refuse(message, ErrorCode.AGENT_OFFLINE)
        by = conversations.Party(
            "agent", message.from_agent_id, message.from_agent_name, message.is_supervisor
        )
        question = conversations.AskAssist(
            message.origin, by, message.chat_id, desk.agent_id, message.question
        )
        conversation = self.context.ref(conversations.KIND, str(message.customer_id))
        try:
            outcome = await conversation.ask(question, within=CONVERSATION_WITHIN_S)
        except ActorError:
            return self._refuse(message, ErrorCode.OVERLOADED)
        return Verdict(outcome.code if isinstance(outcome, conversations.Refusal) else None)

    # --- telling ----------------------------------------------------------------------------------

    def _refuse(self, message: AgentMessage, code: ErrorCode) -> Verdict:
        origin: Origin | None = getattr(message, "origin", None)
        if origin is not None:
            chat_id = getattr(message, "chat_id", None)
            retry_after_s = 1.0 if code is ErrorCode.OVERLOADED else None
            fault = Fault(code, ERRORS[code].sentence, chat_id, retry_after_s)
            self._reply(origin, Error(fault, self._world.clock.now()))
        return Verdict(code)

    def _reply(self, origin: Origin, frame: Error | TransferRequest | TransferResult) -> None:
        self._world.publisher.reply(origin, replace(frame, reply_to=origin.frame_id))

    def _queue(self) -> Any:
        return self.context.ref(dispatch.KIND, dispatch.MAIN)

    def _now(self) -> float:
        return self._world.clock.now().timestamp()


def _key_of(reminder: messages.Reminder) -> str:
    match reminder:
        case messages.PlaceDoubtful(chat_id=id) | messages.OfferExpired(request_id=id):
            return f"{type(reminder).__name__} {id}"
        case _:
            return type(reminder).__name__
