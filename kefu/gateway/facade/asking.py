"""Asking actors on behalf of a call over HTTP: what they refuse is the call's Problem."""

from typing import Any
from uuid import UUID

from actors import ActorError, Ref, Request
from kefu.agents.messages import Verdict
from kefu.conversations import messages as conversations
from kefu.conversations.messages import ChatState, Refusal
from kefu.errors import Problem
from kefu.gateway.facade.callers import Caller
from kefu.gateway.limits import ASK_WITHIN_S
from kefu.gateway.ports import Backstage
from kefu.instants import instant
from protocol.codes import ErrorCode


async def ask(ref: Ref[Any], message: Request[Any]) -> Any:
    """The actor's answer. Raises Problem for a refusal, and where nobody answers."""
    try:
        answer = await ref.ask(message, within=ASK_WITHIN_S)
    except ActorError:
        raise Problem(ErrorCode.OVERLOADED, retry_after_s=1.0) from None
    if isinstance(answer, Refusal):
        raise problem_of(answer)
    if isinstance(answer, Verdict) and answer.refused is not None:
        raise Problem(answer.refused)
    return answer


def conversation_of(backstage: Backstage, customer_id: UUID) -> Ref[Any]:
    return backstage.ref(conversations.KIND, str(customer_id))


async def present_chat(backstage: Backstage, caller: Caller) -> ChatState | None:
    """The customer's open chat as its conversation knows it. Raises Problem."""
    look = conversations.Describe(caller.party)
    try:
        state: ChatState = await ask(conversation_of(backstage, caller.id), look)
    except Problem as problem:
        if problem.code is ErrorCode.CHAT_NOT_FOUND:
            return None
        raise
    return state


def problem_of(refusal: Refusal) -> Problem:
    """With ALREADY_TAKEN it says who has the chat, and since when."""
    seat, at = refusal.taken_by, refusal.taken_at
    if seat is None or at is None:
        return Problem(refusal.code, refusal.sentence, refusal.retry_after_s)
    return taken_by(seat.id, seat.name, at)


def taken_by(agent_id: UUID, name: str, at: float) -> Problem:
    fields = {"agent_id": str(agent_id), "agent_name": name, "taken_at": f"{at:.3f}"}
    sentence = f"{name} has taken this chat at {instant(at):%Y-%m-%d %H:%M:%S} UTC."
    return Problem(ErrorCode.ALREADY_TAKEN, sentence, fields=fields)
