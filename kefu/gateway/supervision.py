"""What a supervisor's connection does with other agents' chats: watch them unseen, and whisper.

A watch is in the chat's log before anything is seen. Then the connection listens, and only then
asks for the chat's status: nothing falls between the two, and the view sees to it that nothing
comes twice. What an earlier stay in the chat still holds back goes out before the watch is said to
stand: after that its last status would be taken for the first of the watch. A watch lasts as long
as its connection, and no longer: who comes back watches again. Its end is put down where it was
asked for; a connection that closes ends it silently.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from actors import ActorError
from kefu.conversations import messages as conversations
from kefu.delivery import watch_topic
from kefu.errors import Problem
from kefu.gateway import replay
from protocol.agent import UnwatchChat, WatchChat, Whisper
from protocol.codes import ErrorCode
from protocol.server import ChatState, ChatWatch, Watch

if TYPE_CHECKING:
    from kefu.gateway.connection import Connection

WATCH_LIMIT: Final = 50
TOO_MANY: Final = f"At most {WATCH_LIMIT} chats are watched at once; stop watching one first."

PASSING: Final = "Watching needs a connection that stays: a WebSocket."


class Supervision:
    """One connection's. `party` is whose it is; `own` are the chats that are theirs anyway."""

    def __init__(self, party: conversations.Party, own: Collection[UUID]) -> None:
        self._party = party
        self._own = own
        self._watched: set[UUID] = set()

    @property
    def watched(self) -> Set[UUID]:
        return self._watched

    def follows(self, state: ChatState) -> bool:
        return state.chat_id in self._watched and state.status != "ended"

    def check(self) -> None:
        """Raises Problem(FORBIDDEN) for whom it is not."""
        if not self._party.may_supervise:
            raise Problem(ErrorCode.FORBIDDEN)

    async def watch(self, connection: Connection, conversation: Any, asked: WatchChat) -> None:
        """Raises Problem, ActorError."""
        chat_id = asked.payload.chat_id
        if not connection.is_present:
            raise Problem(ErrorCode.INVALID_MESSAGE, PASSING)
        if chat_id not in self._watched:
            if len(self._watched) >= WATCH_LIMIT:
                raise Problem(ErrorCode.INVALID_MESSAGE, TOO_MANY)
            watch = conversations.WatchChat(connection.origin(asked.id), self._party, chat_id)
            if isinstance(await connection.ask(conversation, watch), conversations.Refusal):
                return  # which was told
            await _catch_up(connection, chat_id)
            self._watched.add(chat_id)
            connection.backstage.hub.listen(connection, watch_topic(chat_id))
        self._say(connection, chat_id, asked.id)
        look = conversations.Describe(self._party, chat_id, connection.origin())
        try:
            await connection.look(conversation, look)
        except (ActorError, Problem):
            await self._stop(connection, chat_id)
            self._say(connection, chat_id)

    async def unwatch(self, connection: Connection, conversation: Any, asked: UnwatchChat) -> None:
        """It ends at once. Where that could not be put down it is as if the connection was lost.

        Said before it is put down: messages are missed from here on, and a chat that comes back
        meanwhile, in a transfer perhaps, is to the client one that it did not follow.
        """
        chat_id = asked.payload.chat_id
        was_watched = chat_id in self._watched
        if was_watched:
            await self._stop(connection, chat_id)
        self._say(connection, chat_id, asked.id)
        if was_watched:
            unwatch = conversations.UnwatchChat(None, self._party, chat_id)
            with suppress(ActorError):
                await connection.ask(conversation, unwatch)

    async def whisper(self, connection: Connection, conversation: Any, asked: Whisper) -> None:
        """Raises ActorError."""
        origin, said = connection.origin(asked.id), asked.payload
        whisper = conversations.Whisper(origin, self._party, said.chat_id, said.content)
        await connection.ask(conversation, whisper)

    def _say(self, connection: Connection, chat_id: UUID, frame_id: str | None = None) -> None:
        state = Watch(chat_id, is_watching=chat_id in self._watched)
        connection.say(ChatWatch(state, connection.backstage.clock.now(), frame_id))

    async def _stop(self, connection: Connection, chat_id: UUID) -> None:
        """Listen no longer; what is held back for a hole before it still goes out, and first."""
        connection.backstage.hub.unlisten(connection, watch_topic(chat_id))
        self._watched.discard(chat_id)
        await _catch_up(connection, chat_id)
        view = connection.views.get(chat_id)
        if view is not None and chat_id not in self._own:
            view.is_leaving = True
            connection.forget(chat_id, view)


async def _catch_up(connection: Connection, chat_id: UUID) -> None:
    """Send what is held back for a hole before it. Raises Stalled."""
    view = connection.views.get(chat_id)
    if view is not None:
        await replay.fill(connection, view, chat_id)
