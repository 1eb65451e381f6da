"""The frames of a connection as the events that clients of the facade know.

For agents each event says of which session it is, which a frame does not: those events are made
when they are sent, because the name has to be looked up.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from kefu.conversations.sessions.store import PHASE, PostgresSessions
from kefu.gateway.facade.sse import Event, event
from kefu.storage.errors import StoreUnavailable
from protocol.facade import (
    AgentShown,
    BotMessage,
    HeardMessage,
    ManualMessage,
    ProductShown,
    QueuePosition,
    StatusChange,
)
from protocol.server import (
    AgentStatus,
    AssistRequest,
    ChatOffer,
    ChatState,
    ChatStatus,
    Message,
    NewMessage,
    NoteAdded,
    QueueSnapshot,
    QueueUpdate,
    SenderType,
    ToWorkbench,
    TransferRequest,
    TransferResult,
    Whispered,
)

NAMES_KEPT: Final = 10_000
ROLES: Final[dict[SenderType, Literal["agent", "user", "system"]]] = {
    "agent": "agent",
    "customer": "user",
    "system": "system",
}
# What agents hear beside messages and statuses: the frames of the workbench.
OF_THE_WORKBENCH: Final = (
    QueueSnapshot,
    QueueUpdate,
    AgentStatus,
    ChatOffer,
    NoteAdded,
    Whispered,
    TransferRequest,
    TransferResult,
    AssistRequest,
)


class CustomerEvents:
    """Of one stream: a status that says nothing new is no event."""

    def __init__(self) -> None:
        self._status: tuple[Any, ...] = ()
        self._place: tuple[Any, ...] = ()

    def of(self, frame: ToWorkbench) -> Iterator[Event]:
        match frame:
            case NewMessage(payload=message):
                yield event(_message(message), is_message=True)
            case ChatStatus(payload=state):
                yield from self._changes(state, frame.timestamp.timestamp())
            case _:
                pass

    def _changes(self, state: ChatState, at: float) -> Iterator[Event]:
        agent = state.agent
        status = (state.chat_id, state.status, agent and agent.id)
        place = (state.chat_id, state.queue_position, state.estimated_wait_s)
        if status != self._status or state.resync:
            self._status = status
            yield event(status_change(state, at))
        if state.queue_position is not None and place != self._place:
            self._place = place
            yield event(QueuePosition(state.queue_position, at, state.estimated_wait_s))


class SessionNames:
    """The names of the sessions that chats belong to. They never change."""

    def __init__(self, sessions: PostgresSessions) -> None:
        self._sessions = sessions
        self._known: OrderedDict[UUID, str] = OrderedDict()

    async def of(self, chat_ids: Iterable[UUID]) -> dict[UUID, str]:
        """Without those that cannot be found now."""
        wanted = set(chat_ids)
        found = {id: self._known[id] for id in wanted & self._known.keys()}
        if len(found) < len(wanted):
            try:
                found |= await self._sessions.names(wanted - found.keys())
            except StoreUnavailable:
                return found
        for id, name in found.items():
            self._known[id] = name
            self._known.move_to_end(id)
        while len(self._known) > NAMES_KEPT:
            self._known.popitem(last=False)
        return found


class AgentEvents:
    def __init__(self, names: SessionNames) -> None:
        self._names = names

    def of(self, frame: ToWorkbench) -> Iterator[Event]:
        if isinstance(frame, NewMessage | ChatStatus) or isinstance(frame, OF_THE_WORKBENCH):
            yield Event(b"", is_message=isinstance(frame, NewMessage), frame=frame)

    async def encode(self, one: Event) -> bytes:
        """The event as it goes out."""
        if one.frame is None:
            return one.wire()
        names = await self._names.of(_chats_of(one.frame))
        body = msgspec.json.encode(_named(one.frame, names))
        return Event(body, one.id).wire()


def status_change(
    state: ChatState, at: float, *, session_name: str | None = None, for_agent: bool = False
) -> StatusChange:
    agent = state.agent
    return StatusChange(
        status=PHASE[state.status],
        timestamp=at,
        agent_info=AgentShown(agent.id, agent.name, agent.avatar_url) if agent else None,
        resync=state.resync,
        session_name=session_name,
        chat_id=state.chat_id if for_agent else None,
    )


def _message(message: Message) -> BotMessage | ProductShown | ManualMessage:
    """A card of the bot is of a type of its own: clients that show none would show its id."""
    at = message.timestamp.timestamp()
    if message.sender_type == "ai" and message.message_type == "product":
        return ProductShown(message.content, message.message_id, at)
    if message.sender_type == "ai":
        return BotMessage(message.content, message.message_id, at)
    is_agents = message.sender_type == "agent"
    return ManualMessage(
        role=ROLES[message.sender_type],
        content=message.content,
        timestamp=at,
        agent_id=message.sender_id if is_agents else None,
        agent_name=message.sender_name if is_agents else None,
        message_id=message.message_id,
        message_type=message.message_type,
        client_message_id=message.client_message_id,
    )


def _chats_of(frame: ToWorkbench) -> set[UUID]:
    if isinstance(frame, QueueSnapshot):
        return {item.chat_id for item in frame.payload.waiting}
    chat_id: UUID | None = getattr(frame.payload, "chat_id", None)
    return set() if chat_id is None else {chat_id}


def _named(frame: ToWorkbench, names: dict[UUID, str]) -> Any:
    """What a frame says, flat, with the session's name wherever a chat is named."""
    at = frame.timestamp.timestamp()
    match frame:
        case NewMessage(payload=message):
            return _heard(message, names.get(message.chat_id))
        case ChatStatus(payload=state):
            name = names.get(state.chat_id)
            return status_change(state, at, session_name=name, for_agent=True)
        case QueueSnapshot(payload=queue):
            waiting = [
                {"session_name": names.get(item.chat_id), **msgspec.to_builtins(item)}
                for item in queue.waiting
            ]
            said = {**msgspec.to_builtins(queue), "waiting": waiting}
        case _:
            said = msgspec.to_builtins(frame.payload)
            chat_id = getattr(frame.payload, "chat_id", None)
            if chat_id is not None:
                said["session_name"] = names.get(chat_id)
    return {"type": frame.__struct_config__.tag, **said, "timestamp": at}


def _heard(message: Message, name: str | None) -> BotMessage | ProductShown | HeardMessage:
    said = _message(message)
    if isinstance(said, BotMessage | ProductShown):
        return msgspec.structs.replace(said, session_name=name, chat_id=message.chat_id)
    fields = msgspec.structs.asdict(said)
    return HeardMessage(**fields, session_name=name, chat_id=message.chat_id)
