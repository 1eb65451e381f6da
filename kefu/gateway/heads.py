"""Whether everybody here has heard what the store holds: the bound on what a lost frame can cost.

Between instances a frame may be lost for good: its sender died after the commit, a link broke. A
hole shows with the next frame; where none follows it shows here. All chats of all connections are
compared in one query, at once when something is known to be missing, else every LOOK_EVERY_S while
there are other instances. What differs is asked of its conversation, as a greeting does.

So is, each time, a chat that the bot owes an answer: its owner may have gone and come back between
two beats, and the bot's turn with it, and nobody here saw it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct

from actors import ActorError
from kefu.errors import Problem
from kefu.gateway.connection import Connection
from kefu.gateway.hub import Hub
from kefu.storage.errors import StoreUnavailable
from protocol.server import ChatStatus

LOOK_EVERY_S: Final = 10.0
PAUSE_S: Final = 0.2
log = logging.getLogger("kefu.gateway")


class Head(Struct, frozen=True):
    """Where a chat that has not ended stands. `is_unanswered`: the bot owes it an answer."""

    chat_id: UUID
    customer_id: UUID
    agent_id: UUID | None
    status: str
    seq: int
    is_unanswered: bool


class HeadReader(Protocol):
    async def heads(
        self, customer_ids: Iterable[UUID], agent_ids: Iterable[UUID], chat_ids: Iterable[UUID]
    ) -> list[tuple[UUID, UUID, UUID | None, str, int, bool]]:
        """The open chats of these customers, those in the charge of these agents, and the open
        ones of these chats, as (chat, customer, agent, status, seq, is unanswered). Raises
        StoreUnavailable."""
        ...


class Heads:
    """`has_neighbours` says whether there are other instances."""

    def __init__(self, hub: Hub, chats: HeadReader, has_neighbours: Callable[[], bool]) -> None:
        self._hub = hub
        self._chats = chats
        self._has_neighbours = has_neighbours
        self._now = asyncio.Event()

    def look_now(self) -> None:
        """Something is known to be missing."""
        self._now.set()

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            is_after_loss = True
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._now.wait()
            except TimeoutError:
                if not self._has_neighbours():
                    continue
                is_after_loss = False
            self._now.clear()
            try:
                await self.look(is_after_loss=is_after_loss)
            except StoreUnavailable:
                self._now.set()
            except Exception:
                log.exception("heads_unseen")
            await asyncio.sleep(PAUSE_S)

    async def look(self, *, is_after_loss: bool = True) -> None:
        """Compare once. Raises StoreUnavailable.

        `is_after_loss`: who waits may have missed their place, which the store does not hold and
        which their conversation, once it has told it, does not tell again by itself.
        """
        present = [each for each in self._hub if isinstance(each, Connection) and each.is_present]
        customers = {id for each in present if (id := each.role.customer_id) is not None}
        agents = {id for each in present if (id := each.role.agent_id) is not None}
        watched = {id for each in present for id in each.role.watched}
        heads = [Head(*row) for row in await self._chats.heads(customers, agents, watched)]
        by_chat = {head.chat_id: head for head in heads}
        by_customer: dict[UUID, list[Head]] = {}
        by_agent: dict[UUID, list[Head]] = {}
        for head in heads:
            by_customer.setdefault(head.customer_id, []).append(head)
            if head.agent_id is not None and head.status == "active":
                by_agent.setdefault(head.agent_id, []).append(head)
        for connection in present:
            role = connection.role
            own = by_customer.get(role.customer_id, []) if role.customer_id else []
            if role.agent_id is not None:
                charge = {head.chat_id for head in by_agent.get(role.agent_id, [])}
                own = [by_chat[id] for id in charge | set(role.watched) if id in by_chat]
            owed = {head.chat_id for head in own if _is_owed(head, is_after_loss)}
            for chat_id in owed.union(missed_by(connection, own)):
                connection.attend(partial(_look_again, connection, chat_id))
            role.come_again(connection)


async def _look_again(connection: Connection, chat_id: UUID) -> None:
    """The client did not ask: what cannot be seen now is seen at the next look."""
    with suppress(Problem, ActorError, StoreUnavailable):
        await connection.role.look_at(connection, chat_id)


def _is_owed(head: Head, is_after_loss: bool) -> bool:
    return head.is_unanswered or (is_after_loss and head.status == "waiting")


def missed_by(connection: Connection, heads: list[Head]) -> list[UUID]:
    """The chats of which the connection was not told what the store holds."""
    open_chats = {head.chat_id for head in heads}
    behind = [head.chat_id for head in heads if _is_behind(connection, head)]
    over = [chat_id for chat_id in connection.views if chat_id not in open_chats]
    return behind + over


def _is_behind(connection: Connection, head: Head) -> bool:
    view = connection.views.get(head.chat_id)
    if view is None:
        return True
    frame = view.status.frame
    assert isinstance(frame, ChatStatus)
    shown = frame.payload
    agent_id = shown.agent.id if shown.agent is not None else None
    is_other = shown.status != head.status
    is_other_agent = head.status == "active" and agent_id != head.agent_id
    return view.head < head.seq or is_other or is_other_agent
