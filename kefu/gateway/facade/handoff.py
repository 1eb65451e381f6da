"""Between bot and human, and between agents: calling one, taking over, giving back, passing on.

What an agent asks goes to the agents' actors and to the conversation, as from their workbench; what
comes of it is shown as the session it concerns. An agent may speak for themselves alone, whoever
supervises for others, too.
"""

from typing import Any, Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors import Ref
from kefu.agents import messages as agents
from kefu.agents.tokens import AgentIdentity
from kefu.bodies import answer, read_body
from kefu.conversations import messages as conversations
from kefu.conversations.sessions.store import Session
from kefu.delivery import Origin
from kefu.errors import Problem
from kefu.gateway.facade.asking import ask, conversation_of, present_chat, taken_by
from kefu.gateway.facade.callers import Callers
from kefu.gateway.facade.ear import Ear
from kefu.gateway.facade.ports import Facade
from kefu.gateway.facade.reading import read_large_body, wrong_field
from kefu.gateway.facade.sessions import Sessions
from protocol.codes import ErrorCode
from protocol.server import MessageAck, TransferRequest, TransferResult
from protocol.sessions import (
    EmailSent,
    Escalate,
    MessageTaken,
    ReleaseSession,
    RespondToTransfer,
    SayByHand,
    TakeSession,
    TransferAsked,
    TransferSession,
    TransfersWaiting,
    TransferWaiting,
)

_read_escalate: Final = msgspec.json.Decoder(Escalate).decode
_read_message: Final = msgspec.json.Decoder(SayByHand).decode
_read_take: Final = msgspec.json.Decoder(TakeSession).decode
_read_release: Final = msgspec.json.Decoder(ReleaseSession).decode
_read_transfer: Final = msgspec.json.Decoder(TransferSession).decode
_read_response: Final = msgspec.json.Decoder(RespondToTransfer).decode
NOT_YOURS: Final = "Agents speak for themselves; supervisors may speak for others."
WRONG_STATES: Final = (ErrorCode.CHAT_ENDED, ErrorCode.NOT_WAITING)


class Handoff:
    """The endpoints. Each raises Problem or StoreUnavailable."""

    def __init__(self, facade: Facade, callers: Callers, sessions: Sessions) -> None:
        self._facade = facade
        self._backstage = facade.backstage
        self._callers = callers
        self._sessions = sessions

    # --- customers --------------------------------------------------------------------------------

    async def escalate(self, request: Request) -> Response:
        """A session that is not known yet begins with this."""
        asked = await read_body(request, _read_escalate)
        caller = await self._callers.customer(request, asked.session_name)
        conversation = conversation_of(self._backstage, caller.id)
        chat = await present_chat(self._backstage, caller)
        if chat is None:
            start = conversations.StartChat(None, caller.customer, wants_human=False)
            chat = await ask(conversation, start)
        if chat.status == "active":
            raise Problem(ErrorCode.MANUAL_IN_PROGRESS)
        if chat.status == "bot":
            call = conversations.CallHuman(None, caller.party, chat.chat_id, asked.reason)
            await ask(conversation, call)
        return answer(await self._sessions.shown_of(caller.id))

    async def say(self, request: Request) -> Response:
        """A message of the human phase, by whoever the token or the name is of."""
        asked = await read_large_body(request, _read_message)
        if asked.role == "agent":
            identity = await self._facade.guard.require(request, "chats.answer")
            session = await self._sessions.find(asked.session_name)
            customer_id = session.customer_id
            by = conversations.Party("agent", identity.agent_id, identity.name)
        else:
            caller = await self._callers.customer(request, asked.session_name)
            session, customer_id, by = await self._sessions.of(caller.id), caller.id, caller.party
        if session.phase != "manual_live":
            raise Problem(ErrorCode.INVALID_STATUS)
        with self._ear() as ear:
            message = conversations.SendMessage(
                origin=ear.origin,
                sender=by,
                content=asked.content,
                chat_id=session.chat_id,
                client_message_id=asked.client_message_id or str(self._facade.entropy.uuid()),
            )
            await ask(conversation_of(self._backstage, customer_id), message)
            receipts = ear.heard(MessageAck)
        if not receipts:  # lost on its way: the message is there, sent again it is found
            raise Problem(ErrorCode.OVERLOADED, retry_after_s=1.0)
        receipt = receipts[0].payload
        return answer(MessageTaken(receipt.message_id, receipt.timestamp.timestamp()))

    # --- agents -----------------------------------------------------------------------------------

    async def take_over(self, request: Request) -> Response:
        identity, session = await self._agent_and_session(request)
        asked = await read_body(request, _read_take)
        agent_id = _acting_for(identity, asked.agent_id)
        if session.phase == "closed":
            raise Problem(ErrorCode.INVALID_STATUS)
        # nobody takes a session from a colleague here, whatever their role
        take = agents.TakeOver(self._nowhere, session.chat_id, session.customer_id, False)
        try:
            await ask(self._desk(agent_id), take)
        except Problem as problem:
            raise await self._why_not_taken(session, problem) from None
        return answer(await self._sessions.shown_of_chat(session.chat_id))

    async def _why_not_taken(self, session: Session, problem: Problem) -> Problem:
        if problem.code in WRONG_STATES:
            return Problem(ErrorCode.INVALID_STATUS)
        now = await self._facade.sessions.of_chat(session.chat_id)
        seat = now.agent if now is not None else None
        if problem.code is ErrorCode.ALREADY_TAKEN and seat is not None and seat.taken_at:
            return taken_by(seat.id, seat.name, seat.taken_at.timestamp())
        return problem

    async def release(self, request: Request) -> Response:
        identity, session = await self._agent_and_session(request)
        asked = await read_body(request, _read_release)
        _acting_for(identity, asked.agent_id)
        if session.phase != "manual_live":
            raise Problem(ErrorCode.INVALID_STATUS)
        by = _party(identity)
        release = conversations.ReleaseChat(None, by, session.chat_id, asked.reason)
        await ask(conversation_of(self._backstage, session.customer_id), release)
        return answer(await self._sessions.shown_of_chat(session.chat_id))

    async def transfer(self, request: Request) -> Response:
        """An offer: the colleague accepts or declines it, or it runs out."""
        identity, session = await self._agent_and_session(request)
        asked = await read_large_body(request, _read_transfer)
        from_id = _acting_for(identity, asked.from_agent_id)
        if session.phase != "manual_live" or session.agent is None:
            raise Problem(ErrorCode.INVALID_STATUS)
        if session.agent.id != from_id:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        with self._ear() as ear:
            receive = agents.Receive(
                origin=ear.origin,
                chat_id=session.chat_id,
                customer_id=session.customer_id,
                from_agent_id=from_id,
                from_agent_name=session.agent.name,
                is_supervisor=_may_supervise(identity),
                wants_offer=True,
                reason=asked.reason,
                note=asked.note,
            )
            await ask(self._desk(asked.to_agent_id), receive)
            results = ear.heard(TransferResult)
        request_id = results[0].payload.request_id if results else None
        return answer(TransferAsked(request_id, session.name, session.chat_id, "pending"))

    async def pending(self, request: Request) -> Response:
        """What colleagues offer the caller."""
        identity = await self._facade.guard.require(request, "chats.answer")
        offers = await self._offers(identity)
        names = await self._facade.sessions.names(offer.payload.chat_id for offer in offers)
        waiting = tuple(
            TransferWaiting(
                request_id=offer.request_id,
                session_name=names.get(offer.chat_id, ""),
                chat_id=offer.chat_id,
                from_agent_id=offer.from_agent.id,
                from_agent_name=offer.from_agent.name,
                reason=offer.reason,
                note=offer.note,
                expires_at=offer.expires_at.timestamp(),
            )
            for offer in (frame.payload for frame in offers)
        )
        return answer(TransfersWaiting(waiting, len(waiting)))

    async def respond(self, request: Request) -> Response:
        identity = await self._facade.guard.require(request, "chats.answer")
        asked = await read_body(request, _read_response)
        request_id = _id(request.path_params["request_id"])
        offers = [offer.payload for offer in await self._offers(identity)]
        offer = next((each for each in offers if each.request_id == request_id), None)
        if offer is None:
            raise Problem(ErrorCode.NOT_FOUND, "There is no such transfer request (any more).")
        choice = agents.AnswerOffer(self._nowhere, request_id, asked.accept)
        await ask(self._desk(identity.agent_id), choice)
        if asked.accept:
            return answer(await self._sessions.shown_of_chat(offer.chat_id))
        name = (await self._facade.sessions.names([offer.chat_id])).get(offer.chat_id, "")
        return answer(TransferAsked(request_id, name, offer.chat_id, "declined"))

    async def email(self, request: Request) -> Response:
        """Send the transcript by hand."""
        _identity, session = await self._agent_and_session(request)
        return answer(EmailSent(await self._facade.send_transcript(session.chat_id)))

    async def _offers(self, identity: AgentIdentity) -> list[TransferRequest]:
        with self._ear() as ear:
            await ask(self._desk(identity.agent_id), agents.ShowOffers(ear.origin))
            return ear.heard(TransferRequest)

    async def _agent_and_session(self, request: Request) -> tuple[AgentIdentity, Session]:
        identity = await self._facade.guard.require(request, "chats.answer")
        return identity, await self._sessions.find(request.path_params["session_name"])

    @property
    def _nowhere(self) -> Origin:
        """Of a call that waits for no frame."""
        return Origin(self._backstage.connection_id())

    def _desk(self, agent_id: UUID) -> Ref[Any]:
        return self._backstage.ref(agents.KIND, str(agent_id))

    def _ear(self) -> Ear:
        return Ear(self._backstage.hub, self._backstage.connection_id())


def _acting_for(identity: AgentIdentity, named: str | None) -> UUID:
    """The agent who is to act: the caller, or for supervisors anybody they name."""
    if named is None or named in (str(identity.agent_id), identity.username):
        return identity.agent_id
    if not _may_supervise(identity):
        raise Problem(ErrorCode.FORBIDDEN, NOT_YOURS)
    return _id(named)


def _may_supervise(identity: AgentIdentity) -> bool:
    return identity.role in ("supervisor", "admin")


def _party(identity: AgentIdentity) -> conversations.Party:
    is_supervisor = _may_supervise(identity)
    return conversations.Party("agent", identity.agent_id, identity.name, is_supervisor)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise wrong_field("agent_id", "An agent is named by their id.") from None
