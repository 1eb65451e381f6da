"""A whole shop without sockets and databases: the real actors on the real router, in virtual time.

`@on_stage` plays a scene several times, each time with another order of what is ready at once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest

from actors import Actor, Kind, Ref, Router
from actors.simulation import SimulationLoop
from kefu.agents import messages as agents
from kefu.agents.actor import AgentActor
from kefu.agents.ports import World as AgentWorld
from kefu.agents.state import Desk
from kefu.conversations import messages as conversations
from kefu.conversations.actor import ConversationActor
from kefu.conversations.escalation import Rules
from kefu.conversations.ports import World as ConversationWorld
from kefu.delivery import WORKBENCH, Origin, agent_topic, customer_topic
from kefu.dispatch import messages as dispatch
from kefu.dispatch.actor import QueueActor
from kefu.dispatch.actor import World as QueueWorld
from kefu.shifts.messages import Duty
from kefu.storage.errors import StoreUnavailable
from protocol.customer import MessageType
from protocol.server import ToWorkbench
from tests.fakes.bot import ScriptedBot
from tests.fakes.entropy import SeededEntropy
from tests.fakes.products import FakeCatalogue
from tests.fakes.storage import Storage

SEEDS = (None, 1, 2, 3)
Scene = Callable[["Shop"], Awaitable[None]]


class LoopClock:
    """The time of day goes with the simulated loop."""

    def now(self) -> datetime:
        return datetime(2026, 11, 21, 9, 0, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Listener:
    """A connection: what came over it."""

    def __init__(self, id: str, topics: tuple[str, ...]) -> None:
        self.id = id
        self.topics = topics
        self.frames: list[Any] = []

    def origin(self, frame_id: str | None = None) -> Origin:
        return Origin(self.id, frame_id)

    def heard(self, tag: str) -> list[Any]:
        """The payloads of the frames of this type, in order."""
        return [frame.payload for frame in self.frames if tag_of(frame) == tag]

    @property
    def tags(self) -> list[str]:
        return [tag_of(frame) for frame in self.frames]

    def codes(self) -> list[str]:
        return [fault.code.value for fault in self.heard("error")]


def tag_of(frame: Any) -> str:
    tag: str = frame.__struct_config__.tag
    return tag


class Shop:
    """`at_frame` is called before each frame is delivered: a test may look at the store then."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.entropy = SeededEntropy()
        self.storage = Storage()
        self.listeners: dict[str, Listener] = {}
        self.at_frame: Callable[[ToWorkbench], None] = lambda _frame: None
        self.is_bot_ready = False
        self.bot = ScriptedBot()
        self.catalogue = FakeCatalogue()
        self.rules = Rules()
        self.duty = Duty(is_open=True)
        self.mode: Literal["manual", "round_robin", "least_busy"] = "manual"
        self.connected: dict[UUID, set[str]] = {}
        """The open sockets of each agent."""
        self.stranded: list[int] = []
        """As the queue told, once a tick."""
        self.crashes: list[BaseException] = []
        self.epoch_of: Callable[[int], int] = lambda _slot: 1
        """Of conversations' slots."""
        self.are_agents_moving = False
        self.handled: Counter[str] = Counter()
        """How many messages of each type the actors took."""
        self.router = Router(
            (
                Kind(conversations.KIND, self._conversation),
                Kind(agents.KIND, self._agent),
                Kind(dispatch.KIND, lambda _key: self._queue()),
            ),
            random=self.entropy.random,
            on_crash=lambda _id, error: self.crashes.append(error),
            observe=lambda _id, message_type, _took_s: self.handled.update((message_type,)),
        )

    def _conversation(self, key: str) -> Actor[Any]:
        world = ConversationWorld(
            chats=self.storage,
            journal=self.storage,
            publisher=self,
            clock=self.clock,
            entropy=self.entropy,
            epoch_of=lambda slot: self.epoch_of(slot),
            bot=lambda: self.bot if self.is_bot_ready else None,
            rules=self.rules,
            duty=lambda _at, _team_id: self.duty,
            find_product=self.catalogue.find,
        )
        return ConversationActor(UUID(key), world)

    def _agent(self, key: str) -> Actor[Any]:
        world = AgentWorld(
            desks=self.storage,
            publisher=self,
            clock=self.clock,
            entropy=self.entropy,
            connections_of=self._connections_of,
            is_living=lambda _connection_id: True,
            epoch_of=self._epoch_of_agents,
        )
        return AgentActor(UUID(key), world)

    def _epoch_of_agents(self, _slot: int) -> int:
        if self.are_agents_moving:
            raise StoreUnavailable("Their slots are changing hands.")
        return 1

    def _queue(self) -> Actor[Any]:
        world = QueueWorld(
            load_waiting=lambda: self.storage.waiting(),
            publisher=self,
            clock=self.clock,
            entropy=self.entropy,
            agents_here=self._agents_here,
            mode=self.mode,
            load_busy=self.storage.busy_agents,
            on_stranded=self.stranded.append,
        )
        return QueueActor(world)

    def _connections_of(self, agent_id: UUID) -> list[str]:
        return sorted(self.connected.get(agent_id, ()))

    def _agents_here(self) -> list[UUID]:
        return sorted(id for id, sockets in self.connected.items() if sockets)

    # --- the publisher ----------------------------------------------------------------------------

    def publish(
        self, topics: tuple[str, ...], frame: ToWorkbench, *, skip: Origin | None = None
    ) -> None:
        self.at_frame(frame)
        for listener in self.listeners.values():
            is_skipped = skip is not None and skip.connection_id == listener.id
            if set(topics) & set(listener.topics) and not is_skipped:
                listener.frames.append(frame)

    def reply(self, origin: Origin, frame: ToWorkbench) -> None:
        self.at_frame(frame)
        if origin.connection_id in self.listeners:
            self.listeners[origin.connection_id].frames.append(frame)

    # --- the people -------------------------------------------------------------------------------

    def listen(self, *topics: str) -> Listener:
        listener = Listener(f"c{len(self.listeners) + 1}", topics)
        self.listeners[listener.id] = listener
        return listener

    def customer(self, number: int = 1, *, is_vip: bool = False) -> "CustomerOnStage":
        return CustomerOnStage(self, number, is_vip)

    def agent(self, number: int = 1, *, max_sessions: int = 5, **desk: Any) -> "AgentOnStage":
        return AgentOnStage(self, number, max_sessions, desk)

    def queue(self) -> Ref[Any]:
        return self.router.ref(dispatch.KIND, dispatch.MAIN)


class CustomerOnStage:
    def __init__(self, shop: Shop, number: int, is_vip: bool) -> None:
        self.shop = shop
        self.customer = conversations.Customer(
            UUID(int=number), f"c-{number}", f"顾客{number}", is_vip=is_vip
        )
        self.party = conversations.Party("customer", self.customer.id, self.customer.name)
        self.line = shop.listen(customer_topic(self.customer.id))
        self.ref = shop.router.ref(conversations.KIND, str(self.customer.id))

    async def start(self, *, wants_human: bool = True, topic: str | None = None) -> UUID:
        """Start a chat; its id."""
        wish = conversations.StartChat(self.line.origin(), self.customer, wants_human, topic)
        state = await self.ref.ask(wish, within=30)
        assert isinstance(state, conversations.ChatState), state
        return state.chat_id

    def say(
        self,
        content: str,
        key: str | None = None,
        chat_id: UUID | None = None,
        message_type: MessageType = "text",
    ) -> None:
        """Send a message; the answer comes over the line."""
        sent = conversations.SendMessage(
            origin=self.line.origin(content),
            sender=self.party,
            content=content,
            message_type=message_type,
            chat_id=chat_id,
            client_message_id=key,
            customer=self.customer,
        )
        assert self.ref.tell(sent)

    async def end(self, **more: Any) -> Any:
        message = conversations.EndChat(self.line.origin("end"), self.party, **more)
        return await self.ref.ask(message, within=30)

    async def look(self) -> Any:
        """The open chat as the actor knows it, once all that was said before is settled."""
        return await self.ref.ask(conversations.Describe(self.party), within=30)


class AgentOnStage:
    def __init__(self, shop: Shop, number: int, max_sessions: int, desk: dict[str, Any]) -> None:
        self.shop = shop
        self.id = UUID(int=1000 + number)
        self.name = f"客服{number}"
        self.party = conversations.Party("agent", self.id, self.name)
        shop.storage.desks[self.id] = Desk(self.id, self.name, None, max_sessions, **desk)
        self.line = shop.listen(agent_topic(self.id), WORKBENCH)
        self.ref = shop.router.ref(agents.KIND, str(self.id))

    async def connect(self, line: Listener | None = None) -> dict[UUID, UUID]:
        line = line or self.line
        self.shop.connected.setdefault(self.id, set()).add(line.id)
        connected = agents.Connected(line.id)
        found: dict[UUID, UUID] = await self.ref.ask(connected, within=30)
        return found

    def disconnect(self, line: Listener | None = None) -> None:
        line = line or self.line
        self.shop.connected[self.id].discard(line.id)
        assert self.ref.tell(agents.Disconnected(line.id))

    async def accept(self, chat_id: UUID, customer: CustomerOnStage) -> Any:
        """None when it worked, else the code of the refusal."""
        message = agents.Accept(self.line.origin("accept"), chat_id, customer.customer.id)
        return (await self.ref.ask(message, within=30)).refused

    async def take_over(self, chat_id: UUID, customer: CustomerOnStage) -> Any:
        """From the bot. None when it worked, else the code of the refusal."""
        message = agents.TakeOver(
            self.line.origin("take"), chat_id, customer.customer.id, is_supervisor=False
        )
        return (await self.ref.ask(message, within=30)).refused

    async def release(self, chat_id: UUID, customer: CustomerOnStage) -> Any:
        message = conversations.ReleaseChat(self.line.origin("release"), self.party, chat_id)
        return await customer.ref.ask(message, within=30)

    def say(self, content: str, to: CustomerOnStage, key: str | None = None) -> None:
        sent = conversations.SendMessage(
            self.line.origin(content), self.party, content, client_message_id=key
        )
        assert to.ref.tell(sent)

    def presence(self) -> Any:
        """As colleagues saw it last."""
        told = [
            change.agent
            for change in self.line.heard("agent_status")
            if change.agent.agent_id == self.id
        ]
        return told[-1] if told else None


@asynccontextmanager
async def opened() -> AsyncIterator[Shop]:
    shop = Shop()
    async with shop.router:
        yield shop


def play(scene: Scene, seed: int | None) -> Shop:
    """Play the scene; the shop as it was at the end, without its actors."""

    async def run() -> Shop:
        async with opened() as shop:
            await scene(shop)
        return shop

    with asyncio.Runner(loop_factory=lambda: SimulationLoop(seed)) as runner:
        return runner.run(run())


def on_stage(scene: Scene) -> Callable[[int | None], None]:
    """A test that plays the scene in every order of SEEDS, and in which no actor may crash."""

    def test(seed: int | None) -> None:
        assert play(scene, seed).crashes == []

    test.__name__, test.__doc__ = getattr(scene, "__name__", "scene"), scene.__doc__
    mark: Callable[[Callable[[int | None], None]], Callable[[int | None], None]]
    mark = pytest.mark.parametrize("seed", SEEDS)
    return mark(test)


async def settled(seconds: float = 0.5) -> None:
    """Let virtual time pass until everything that is under way has come to rest."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    loop.call_later(seconds, woken.set_result, None)
    await woken
