"""Sending what a connection missed, from the store, before anything later goes out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import replace

from kefu.conversations.frames import chat_state
from kefu.errors import Problem
from kefu.gateway.chat_view import ChatView
from kefu.gateway.outbox import Outgoing, Stalled
from kefu.storage.errors import StoreUnavailable
from protocol.codes import CloseCode, ErrorCode
from protocol.limits import REPLAY_MESSAGES, RESYNC_MESSAGES
from protocol.server import ChatState, ChatStatus, Message, NewMessage

if TYPE_CHECKING:
    from kefu.gateway.connection import Connection

log = logging.getLogger("kefu.gateway")


async def fill(connection: Connection, view: ChatView[Outgoing], chat_id: UUID) -> None:
    """Close the hole in front of what the view holds back."""
    while view.held_count:
        after, until = view.hole()
        try:
            after = await _send(connection, _state(view), after, until)
        except Stalled:
            raise
        except Exception as error:  # coming back serves the client better than a silent hole
            if not isinstance(error, StoreUnavailable | Problem):
                log.exception("fill_failed")
            connection.close(CloseCode.OVERLOADED)
            return
        _release(connection, chat_id, view, after, until)


async def resume(
    connection: Connection,
    chat_id: UUID,
    last_seq: int,
    frame_id: str | None = None,
    *,
    is_answered: bool = True,
) -> None:
    """Send what a client that has everything up to `last_seq` lacks.

    The answer is a chat_status whose last_seq says how far the messages behind it go; where it is
    left out, the client has just been told.
    Raises Problem(CHAT_NOT_FOUND), StoreUnavailable, Stalled.
    """
    view = connection.views.get(chat_id)
    if view is None:
        state = await _read_state(connection, chat_id)
        await _send(connection, state, last_seq, state.last_seq, frame_id, is_answered=True)
        return
    view.hold()
    after, until = view.behind(last_seq)
    try:
        after = await _send(
            connection, _state(view), after, until, frame_id, is_answered=is_answered
        )
    except BaseException:
        _release(connection, chat_id, view, view.floor, view.head)  # nothing older was promised
        if view.held_count:  # newer things were, and now they have a hole before them
            connection.close(CloseCode.OVERLOADED)
        raise
    _release(connection, chat_id, view, after, until)
    if view.held_count:
        await fill(connection, view, chat_id)


async def _send(
    connection: Connection,
    state: ChatState,
    after: int,
    until: int,
    frame_id: str | None = None,
    *,
    is_answered: bool = False,
) -> int:
    """Send (after, until]; where that cannot be exact, say so and send the last of it.

    Returns the point after which the client has everything now.
    """
    chat_id, messages = state.chat_id, None
    if 0 <= until - after <= REPLAY_MESSAGES:
        messages = await _read(connection, chat_id, after, until)
    is_exact = messages is not None and len(messages) == until - after
    if messages is None or not is_exact:
        after = max(0, until - RESYNC_MESSAGES)
        messages = await _read(connection, chat_id, after, until)
    now = connection.backstage.clock.now()
    if is_answered or not is_exact:
        told = replace(state, last_seq=until, resync=not is_exact, guest_token=None)
        await connection.say_patiently(ChatStatus(told, now, frame_id))
    for message in messages:
        await connection.say_patiently(NewMessage(message, now))
    return after


async def _read(connection: Connection, chat_id: UUID, after: int, until: int) -> list[Message]:
    if after == until:
        return []
    chats = connection.backstage.chats
    return await chats.messages(chat_id, after=after, until=until, limit=REPLAY_MESSAGES)


async def _read_state(connection: Connection, chat_id: UUID) -> ChatState:
    """A chat that is not followed, if this person may read it."""
    if not await connection.role.may_read(connection, chat_id):
        raise Problem(ErrorCode.CHAT_NOT_FOUND)
    stored = await connection.backstage.chats.chat(chat_id)
    if stored is None:
        raise Problem(ErrorCode.CHAT_NOT_FOUND)
    return chat_state(stored.chat, for_agents=connection.is_agents)


def _state(view: ChatView[Outgoing]) -> ChatState:
    """The chat as this connection was told last."""
    frame = view.status.frame
    assert isinstance(frame, ChatStatus)
    return frame.payload


def _release(
    connection: Connection, chat_id: UUID, view: ChatView[Outgoing], after: int, until: int
) -> None:
    for outgoing in view.filled(after, until):
        connection.put(outgoing)
    connection.forget(chat_id, view)
