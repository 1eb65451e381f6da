"""One incarnation of a kefu server, joined as kefu/app.py joins it; only its edges are simulated.

Real: actors, rules, journal, stores down to the connection, gateway up to ASGI. Left out: HTTP,
sign-in (a token is a name here), Redis.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast
from uuid import UUID

import anyio
from starlette.types import ASGIApp

from actors import ActorId, Kind, Router
from kefu.agents import messages as agents
from kefu.agents import ports as agent_ports
from kefu.agents.accounts import Accounts
from kefu.agents.actor import AgentActor
from kefu.agents.desks import PostgresDesks
from kefu.agents.tokens import AgentIdentity, CustomerIdentity, Tokens
from kefu.conversations import cleanup
from kefu.conversations import messages as conversations
from kefu.conversations import ports as conversation_ports
from kefu.conversations.actor import ConversationActor
from kefu.conversations.announce import waiting_of
from kefu.conversations.cleanup import Cleanup
from kefu.conversations.store import PostgresChats
from kefu.delivery import agent_of, agent_topic, customer_topic
from kefu.dispatch import actor as dispatch_actor
from kefu.dispatch import messages as dispatch
from kefu.gateway.hub import Hub
from kefu.gateway.metrics import Metrics
from kefu.gateway.ports import Backstage
from kefu.gateway.sockets import Door, Socket
from kefu.storage import ownership
from kefu.storage.database import CONNECT_LIMIT_S, DatabasePool
from kefu.storage.journal import Connection as JournalConnection
from kefu.storage.journal import Journal
from tests.fakes.entropy import SeededEntropy
from tests.simulation.loop import Process
from tests.simulation.network import Network
from tests.simulation.postgres import Pool, Postgres

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STOP_WITHIN_S = 15.0
FRAME_RATE, FRAME_BURST = 20.0, 60.0
SILENT_S, CLEANUP_EVERY_S = 6.0, 3.0  # nobody lives through the real half hour


class _NoTrail:
    """The audit log is no part of what is simulated."""

    async def append(self, connection: Any, act: Any) -> None: ...


class LoopClock:
    """The time of day goes with the simulated loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return self._loop.time()


class Surroundings(Protocol):
    """What every incarnation finds in the world."""

    postgres: Postgres
    network: Network
    clock: LoopClock
    entropy: SeededEntropy
    metrics: Metrics
    is_bot_ready: bool
    identities: dict[str, CustomerIdentity | AgentIdentity]

    def actor_failed(self, actor: ActorId, error: BaseException) -> None: ...


class Instance:
    """Run it in its process's context; `stop` ends it in order, killing the process does not."""

    def __init__(self, process: Process, around: Surroundings) -> None:
        self.process = process
        self.is_open = False
        self.hub = Hub()
        self.router: Router
        self.chat: ASGIApp
        self.workbench: ASGIApp
        self._around = around
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Claim, serve, drain. Raises OSError and the like when the database is not there."""
        around, process = self._around, self.process
        pool = cast(DatabasePool, Pool(around.postgres, process))
        async with asyncio.timeout(CONNECT_LIMIT_S):
            owner = cast(JournalConnection, await around.postgres.connect(process))
        epochs = await ownership.claim_slots(owner, process.name)

        async def connect() -> JournalConnection:
            return cast(JournalConnection, await around.postgres.connect(process))

        journal = Journal(connect, on_commit=around.metrics.note_commit)
        chats = PostgresChats(pool)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.run)
            world = conversation_ports.World(
                chats=chats,
                journal=journal,
                publisher=self.hub,
                clock=around.clock,
                entropy=around.entropy,
                epoch_of=epochs.__getitem__,
                is_bot_ready=lambda: around.is_bot_ready,
            )
            async with self._make_router(world, pool, chats) as self.router:
                self.router.ref(dispatch.KIND, dispatch.MAIN).tell(dispatch.Tick())
                tasks.start_soon(self._make_cleanup(chats).run)
                self._open_sockets(chats)
                await self._stopping.wait()
                await self._shut_sockets()
            tasks.cancel_scope.cancel()

    def _make_router(
        self, world: conversation_ports.World, pool: DatabasePool, chats: PostgresChats
    ) -> Router:
        async def load_waiting() -> list[dispatch.Waiting]:
            return [waiting_of(chat) for chat in await chats.waiting()]

        clock, entropy = world.clock, world.entropy
        desks = agent_ports.World(
            PostgresDesks(pool, chats.active, _NoTrail()),
            self.hub,
            clock,
            entropy,
            self._connections_of,
        )
        queue = dispatch_actor.World(load_waiting, self.hub, clock, entropy, self._agents_here)
        kinds = (
            Kind(conversations.KIND, lambda key: ConversationActor(UUID(key), world)),
            Kind(agents.KIND, lambda key: AgentActor(UUID(key), desks)),
            Kind(dispatch.KIND, lambda _key: dispatch_actor.QueueActor(queue)),
        )
        return Router(kinds, random=entropy.random, on_crash=self._around.actor_failed)

    def _connections_of(self, agent_id: UUID) -> list[str]:
        topic = agent_topic(agent_id)
        return [listener.id for listener in self.hub if topic in listener.topics]

    def _agents_here(self) -> list[UUID]:
        topics = {topic for listener in self.hub for topic in listener.topics}
        return sorted(id for topic in topics if (id := agent_of(topic)) is not None)

    def _make_cleanup(self, chats: PostgresChats) -> Cleanup:
        around = cleanup.World(
            chats=chats,
            clock=self._around.clock,
            is_here=lambda customer_id: self.hub.count(customer_topic(customer_id)) > 0,
            tell=lambda customer_id, message: self.router.ref(
                conversations.KIND, str(customer_id)
            ).tell(message),
        )
        return Cleanup(around, timeout_s=SILENT_S, every_s=CLEANUP_EVERY_S)

    def _open_sockets(self, chats: PostgresChats) -> None:
        around = self._around
        backstage = Backstage(
            hub=self.hub,
            ref=self.router.ref,
            chats=chats,
            clock=around.clock,
            metrics=around.metrics,
            frame_rate=FRAME_RATE,
            frame_burst=FRAME_BURST,
            known_teams=_no_teams,
        )
        door = Door(
            accounts=cast(Accounts, _Gate(around.identities)),
            tokens=cast(Tokens, None),
            entropy=around.entropy,
            allow_guests=False,
            allowed_origins=frozenset(),
            max_connections=10_000,
            max_connections_per_person=20,
        )
        self.chat = Socket(backstage, door)
        self.workbench = Socket(backstage, door, is_workbench=True)
        self.is_open = True

    async def _shut_sockets(self) -> None:
        """As the web server does before the application ends."""
        self.is_open = False
        links = self._around.network.of(self.process)
        for link in links:
            link.shut_down()
        tasks = [link.task for link in links if link.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_WITHIN_S)

    def tell(self, kind: str, key: str, message: Any) -> None:
        """Say something to an actor from outside, in the process's own time."""
        loop = asyncio.get_running_loop()
        ref = self.router.ref(kind, key)
        loop.call_soon(ref.tell, message, context=self.process.context)


async def _no_teams() -> frozenset[UUID]:
    return frozenset()


class _Gate:
    """Tokens are names here."""

    def __init__(self, identities: dict[str, CustomerIdentity | AgentIdentity]) -> None:
        self._identities = identities

    async def identify(self, token: str) -> CustomerIdentity | AgentIdentity:
        return self._identities[token]
