"""Sending what a connection missed, from the store, before anything later goes out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import replace

from kefu.conversations.frames import chat_state, status_frame
from kefu.errors import Problem
from kefu.gateway.chat_view import ChatView
from kefu.gateway.outbox import Outgoing, Stalled
from kefu.storage.errors import StoreUnavailable
from protocol.codes import CloseCode, ErrorCode
from protocol.limits import REPLAY_MESSAGES, RESYNC_MESSAGES
from protocol.server import Message, NewMessage

if TYPE_CHECKING:
    from kefu.gateway.connection import Connection

log = logging.getLogger("kefu.gateway")


async def fill(connection: Connection, view: ChatView[Outgoing], chat_id: UUID) -> None:
    """Close the hole in front of what the view holds back."""
    while view.held_count:
        after, until = view.hole()
        try:
            after = await _send(connection, chat_id, after, until)
        except Stalled:
            raise
        except Exception as error:  # coming back serves the client better than a silent hole
            if not isinstance(error, StoreUnavailable | Problem):
                log.exception("fill_failed")
            connection.close(CloseCode.OVERLOADED)
            return
        _release(connection, chat_id, view, after, until)


async def resume(connection: Connection, chat_id: UUID, last_seq: int) -> None:
    """Send what a client that has everything up to `last_seq` lacks.

    Raises Problem(CHAT_NOT_FOUND), StoreUnavailable, Stalled.
    """
    view = connection.views.get(chat_id)
    if view is None:
        if not await connection.role.may_read(connection, chat_id):
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        stored = await connection.backstage.chats.chat(chat_id)
        if stored is None:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        await _send(connection, chat_id, last_seq, stored.chat.seq)
        return
    view.hold()
    after, until = view.behind(last_seq)
    try:
        after = await _send(connection, chat_id, after, until)
    except BaseException:
        _release(connection, chat_id, view, view.floor, view.head)  # nothing older was promised
        if view.held_count:  # newer things were, and now they have a hole before them
            connection.close(CloseCode.OVERLOADED)
        raise
    _release(connection, chat_id, view, after, until)
    if view.held_count:
        await fill(connection, view, chat_id)


async def _send(connection: Connection, chat_id: UUID, after: int, until: int) -> int:
    """Send (after, until]; where that cannot be exact, say so and send the last of it.

    Returns the point after which the client has everything now.
    """
    messages = None
    if 0 <= until - after <= REPLAY_MESSAGES:
        messages = await _read(connection, chat_id, after, until)
    if messages is None or len(messages) != until - after:
        after = max(0, until - RESYNC_MESSAGES)
        await _say_resync(connection, chat_id, until)
        messages = await _read(connection, chat_id, after, until)
    now = connection.backstage.clock.now()
    for message in messages:
        await connection.say_patiently(NewMessage(message, now))
    return after


async def _read(connection: Connection, chat_id: UUID, after: int, until: int) -> list[Message]:
    if after == until:
        return []
    chats = connection.backstage.chats
    return await chats.messages(chat_id, after=after, until=until, limit=REPLAY_MESSAGES)


async def _say_resync(connection: Connection, chat_id: UUID, until: int) -> None:
    stored = await connection.backstage.chats.chat(chat_id)
    if stored is None:
        raise Problem(ErrorCode.CHAT_NOT_FOUND)
    state = replace(chat_state(stored.chat), last_seq=until, resync=True)
    at = connection.backstage.clock.now().timestamp()
    await connection.say_patiently(status_frame(state, at))


def _release(
    connection: Connection, chat_id: UUID, view: ChatView[Outgoing], after: int, until: int
) -> None:
    for outgoing in view.filled(after, until):
        connection.put(outgoing)
    connection.forget(chat_id, view)
