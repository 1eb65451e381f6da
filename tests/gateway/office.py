"""A gateway at which agents and supervisors work, its actors played by the test."""

from typing import Any, Literal
from uuid import UUID, uuid4

from kefu.conversations import messages as conversations
from kefu.delivery import watch_topic
from kefu.gateway.sockets import Socket
from protocol.accounts import Agent
from protocol.server import (
    AgentCard,
    ChatState,
    ChatStatus,
    CustomerCard,
    SomeoneTyping,
    TypingShown,
)
from tests.fakes.asgi_peer import AsgiPeer
from tests.gateway.stage import CHAT, NOW, Stage, passes

RoleName = Literal["agent", "supervisor", "admin"]
WATCHED = watch_topic(CHAT)
OTHER = UUID(int=78)
CUSTOMER = CustomerCard(UUID(int=5))
ME = AgentCard(UUID(int=21), "Min")
TYPING = TypingShown(SomeoneTyping(CHAT, True, "customer"), NOW)


def agent(role: RoleName = "supervisor") -> Agent:
    return Agent(
        id=ME.id,
        username="min",
        name=ME.name,
        avatar_url=None,
        role=role,
        max_sessions=5,
        status="online",
        status_note=None,
        is_active=True,
        created_at=NOW,
        last_login_at=None,
        skills=(),
        team_ids=(),
    )


class Office(Stage):
    """Every chat is somebody's; looks at a chat are answered as the conversation would."""

    def __init__(self) -> None:
        super().__init__()
        self.app = Socket(self.backstage, self.door(), is_workbench=True)
        self.chats.owner_id = CUSTOMER.id
        self.chats.owner = self._owner_of_any  # type: ignore[method-assign]

    async def _owner_of_any(self, chat_id: UUID) -> UUID | None:
        return CUSTOMER.id if chat_id != UUID(int=404) else None

    def _answer(self, message: Any) -> Any:
        match message:
            case conversations.Describe(chat_id=chat_id, origin=origin):
                assert origin is not None
                assert chat_id is not None
                self.hub.reply(origin, self.of(chat_id))
                return self.of(chat_id).payload
            case conversations.WatchChat() | conversations.UnwatchChat():
                return self.of(message.chat_id).payload
            case _:
                return {}

    def of(self, chat_id: UUID, name: Any = "active", agent: AgentCard | None = None) -> ChatStatus:
        last_seq = len(self.chats.log) if chat_id == CHAT else 0
        return ChatStatus(ChatState(chat_id, name, last_seq, agent, customer=CUSTOMER), NOW)

    async def at_work(self, role: RoleName = "supervisor") -> AsgiPeer:
        peer = self.connect(self.tokens.agent_access(agent(role), uuid4()))
        await passes(1)
        self.told.clear()
        return peer

    async def watching(self) -> AsgiPeer:
        peer = await self.at_work()
        peer.say("watch_chat", {"chat_id": str(CHAT)}, id="w")
        await passes(1)
        return peer

    def publish_watched(self, *frames: Any) -> None:
        for frame in frames:
            self.hub.publish((WATCHED,), frame)


def kinds(messages: list[Any]) -> list[str]:
    return [type(message).__name__ for message in messages]


def shown(peer: AsgiPeer) -> list[str]:
    return [frame["type"] for frame in peer.frames]


def code(peer: AsgiPeer) -> str:
    (error,) = peer.heard("error")
    found: str = error["payload"]["code"]
    return found
