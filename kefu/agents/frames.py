"""What is told of a desk: to the queue, and to colleagues who pass their chats on. Pure."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from kefu.agents.state import Desk, Offer
from kefu.dispatch import messages as dispatch
from kefu.instants import instant
from protocol.server import (
    AgentCard,
    AgentPresence,
    TransferOffer,
    TransferOutcome,
    TransferRequest,
    TransferResult,
)

OutcomeName = Literal["transferred", "offered", "declined", "expired"]


def transfer_request(offer: Offer, now: datetime) -> TransferRequest:
    payload = TransferOffer(
        request_id=offer.request_id,
        chat_id=offer.chat_id,
        from_agent=AgentCard(offer.from_agent_id, offer.from_agent_name),
        expires_at=instant(offer.expires_at),
        reason=offer.reason,
        note=offer.note,
    )
    return TransferRequest(payload, now)


def transfer_result(
    offer: Offer, outcome: OutcomeName, to_agent_id: UUID, now: datetime
) -> TransferResult:
    payload = TransferOutcome(
        chat_id=offer.chat_id,
        outcome=outcome,
        to_agent_id=to_agent_id,
        request_id=offer.request_id,
    )
    return TransferResult(payload, now)


def told(desk: Desk) -> dispatch.PresenceChanged:
    """What the queue is to know of an agent: colleagues see the presence alone."""
    presence = AgentPresence(
        agent_id=desk.agent_id,
        name=desk.name,
        status=desk.status,
        active_count=len(desk.active),
        max_sessions=desk.max_sessions,
        note=desk.status_note,
        team_ids=desk.team_ids,
    )
    return dispatch.PresenceChanged(presence, desk.reserved - desk.active.keys())
