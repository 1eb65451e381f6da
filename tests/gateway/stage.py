"""A gateway with everything behind it played by the test: actors, chats and the time.

The clock is the loop's, so that on a simulation loop an hour passes at once.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import anyio.lowlevel
from starlette.applications import Starlette

from actors import ActorId
from actors.simulation import SimulationLoop
from kefu.agents.accounts import Accounts
from kefu.agents.tokens import Tokens
from kefu.conversations import messages as conversations
from kefu.conversations.chat import Chat
from kefu.conversations.keys import Known
from kefu.conversations.parties import Customer
from kefu.conversations.ports import StoredChat
from kefu.delivery import Origin
from kefu.gateway import chat_routes
from kefu.gateway.door import Door
from kefu.gateway.hub import Hub
from kefu.gateway.metrics import Metrics
from kefu.gateway.ports import Backstage
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.gateway.sockets import Socket
from kefu.secret import Secret
from kefu.storage.errors import StoreUnavailable
from protocol.server import (
    ChatState,
    ChatStatus,
    ChatStatusName,
    Message,
    MessageAck,
    NewMessage,
    Receipt,
)
from tests.fakes.asgi_peer import AsgiPeer
from tests.fakes.entropy import SeededEntropy
from tests.fakes.products import FakeCatalogue
from tests.gateway.stream_peer import StreamPeer

CHAT = UUID(int=77)
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


def simulated(story: Callable[[], Coroutine[Any, Any, None]], seed: int | None = None) -> None:
    """Run it on virtual time."""
    with asyncio.Runner(loop_factory=lambda: SimulationLoop(seed)) as runner:
        runner.run(story())


async def passes(seconds: float) -> None:
    """Let virtual time go by; on a real loop that would be a wait and a hope."""
    assert isinstance(asyncio.get_running_loop(), SimulationLoop)
    await asyncio.sleep(seconds)


def is_empty(hub: Hub) -> bool:
    """Whether nothing is left in it of anybody who was there."""
    left, fresh = vars(hub), vars(Hub())
    return all(left[name] == fresh[name] for name in fresh if name != "on_topic")


class LoopClock:
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class FakeRef:
    """An actor that notes what it is told; asks wait while its `gate` is closed."""

    def __init__(self, id: ActorId, stage: "Stage") -> None:
        self.id = id
        self._stage = stage

    def tell(self, message: Any, /) -> bool:
        if self._stage.is_full:
            return False
        self._stage.told.append(message)
        return True

    async def send(self, message: Any, /, *, within: float) -> None:
        raise NotImplementedError

    async def ask(self, message: Any, /, *, within: float) -> Any:
        self._stage.told.append(message)
        await self._stage.gate.wait()
        return self._stage.answer(message)


class FakeChats:
    """One chat's messages, read as slowly as `delay_s` says."""

    def __init__(self) -> None:
        self.log: list[Message] = []
        self.owner_id: UUID | None = None
        self.active_chats: dict[UUID, UUID] = {}
        self.known: list[tuple[UUID, str, Known]] = []
        self.delay_s = 0.0
        self.failures = 0
        self.reads: list[tuple[int, int]] = []

    def speak(self, content: str = "在吗") -> NewMessage:
        """A message made durable; the frame that tells of it."""
        seq = len(self.log) + 1
        message = Message(CHAT, UUID(int=1000 + seq), seq, "agent", content, NOW)
        self.log.append(message)
        return NewMessage(message, NOW)

    def speak_again(self, seq: int) -> NewMessage:
        return NewMessage(self.log[seq - 1], NOW)

    async def messages(self, chat_id: UUID, *, after: int, until: int, limit: int) -> list[Message]:
        self.reads.append((after, until))
        await asyncio.sleep(self.delay_s)
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("gone for a test")
        return [message for message in self.log if after < message.seq <= until][:limit]

    async def keys(self, customer_id: UUID) -> list[tuple[UUID, str, Known]]:
        return self.known

    async def owner(self, chat_id: UUID) -> UUID | None:
        return self.owner_id if chat_id == CHAT else None

    async def active(self, agent_id: UUID) -> dict[UUID, UUID]:
        return dict(self.active_chats)

    async def chat(self, chat_id: UUID) -> StoredChat | None:
        if chat_id != CHAT:
            return None
        customer = Customer(id=UUID(int=5), sub="c")
        chat = Chat(CHAT, customer, "manual_live", NOW.timestamp(), False, seq=len(self.log))
        return StoredChat(chat)


class Stage:
    """`answer` says what actors answer; a look at the chat sends its status, as the real one."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.entropy = SeededEntropy()
        self.hub = Hub()
        self.metrics = Metrics()
        self.chats = FakeChats()
        self.catalogue = FakeCatalogue()
        self.told: list[Any] = []
        self.teams: frozenset[UUID] = frozenset()
        self.is_full = False
        self.answer: Callable[[Any], Any] = self._answer
        self.gate = asyncio.Event()
        self.gate.set()
        self.tokens = Tokens(Secret("s" * 32), Secret("o" * 32), clock=self.clock)
        self.backstage = Backstage(
            hub=self.hub,
            ref=lambda kind, key: FakeRef(ActorId(kind, key), self),
            chats=cast(Any, self.chats),
            clock=self.clock,
            metrics=self.metrics,
            frame_rate=1000.0,
            frame_burst=1000.0,
            known_teams=self._known_teams,
            connection_id=lambda: str(self.entropy.uuid()),
            find_product=self.catalogue.find,
        )
        self.app = Socket(self.backstage, self.door())
        self.http = self.http_app()

    async def _known_teams(self) -> frozenset[UUID]:
        return self.teams

    def door(self, **changes: Any) -> Door:
        settings: dict[str, Any] = {
            "accounts": cast(Accounts, self),
            "tokens": self.tokens,
            "entropy": self.entropy,
            "allow_guests": True,
            "allowed_origins": frozenset(),
            "max_connections": 1000,
            "max_connections_per_person": 1000,
        }
        return Door(**settings | changes)

    def http_app(self, **changes: Any) -> Starlette:
        return Starlette(
            routes=chat_routes.routes(self.backstage, self.door(**changes)),
            exception_handlers=EXCEPTION_HANDLERS,
        )

    async def identify(self, token: str) -> Any:
        await anyio.lowlevel.checkpoint()
        return self.tokens.verify(token)

    def _answer(self, message: Any) -> Any:
        if isinstance(message, conversations.Describe):
            assert message.origin is not None
            self.hub.reply(message.origin, self.status())
        return None

    def status(self, name: ChatStatusName = "active", **more: Any) -> ChatStatus:
        return ChatStatus(ChatState(CHAT, name, len(self.chats.log), **more), NOW)

    def receipt(self, seq: int) -> MessageAck:
        return MessageAck(Receipt(CHAT, UUID(int=1000 + seq), seq, NOW), NOW)

    def origin(self) -> Origin:
        (listener,) = self.hub
        return Origin(listener.id)

    def publish(self, frame: Any) -> None:
        """To everybody who is connected."""
        for listener in self.hub:
            self.hub.publish(listener.topics[:1], frame)

    def listen(self, token: str | None = None, **options: Any) -> StreamPeer:
        query = "" if token is None else f"token={token}"
        return StreamPeer(self.http, query=query, **options)

    def connect(self, token: str | None = None, **options: Any) -> AsgiPeer:
        query = "" if token is None else f"token={token}"
        return AsgiPeer(self.app, query=query, **options)

    async def connected(self, token: str | None = None, **options: Any) -> AsgiPeer:
        """A peer that has been greeted with its chat's status."""
        peer = self.connect(token, **options)
        await peer.hear("chat_status")
        return peer

    def gauge(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    @property
    def open_count(self) -> float:
        return self.gauge("kefu_connections", role="CustomerRole")


@contextmanager
def no_task_left() -> Iterator[None]:
    """The number of tasks is the same afterwards."""
    before = len(asyncio.all_tasks())
    yield
    assert len(asyncio.all_tasks()) == before
