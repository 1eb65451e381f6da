"""One incarnation of a kefu server, joined as kefu/app.py joins it; only its edges are simulated.

Real: actors, rules, journal, stores down to the connection, the cluster down to its bus, directory
and claims, gateway up to ASGI. Left out: HTTP, sign-in (a token is a name here).
"""

import asyncio
from collections.abc import Callable
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
from kefu.cluster.bridge import SEPARATOR
from kefu.cluster.cluster import Cluster
from kefu.cluster.codec import Codec
from kefu.cluster.placement import slot_of
from kefu.cluster.ports import Member
from kefu.cluster.store import PostgresClaims
from kefu.conversations import cleanup
from kefu.conversations import messages as conversations
from kefu.conversations import ports as conversation_ports
from kefu.conversations.actor import ConversationActor
from kefu.conversations.announce import waiting_of
from kefu.conversations.cleanup import Cleanup
from kefu.conversations.escalation import Rules
from kefu.conversations.store import PostgresChats
from kefu.delivery import Origin, agent_of, agent_topic, customer_topic
from kefu.dispatch import actor as dispatch_actor
from kefu.dispatch import messages as dispatch
from kefu.gateway.drain import Drain
from kefu.gateway.heads import Heads
from kefu.gateway.hub import Hub
from kefu.gateway.metrics import Metrics
from kefu.gateway.ports import Backstage
from kefu.gateway.sockets import Door, Socket
from kefu.membership import KINDS, RETRY_AFTER_S, instance_of
from kefu.shifts.messages import Duty
from kefu.storage.database import DatabasePool
from kefu.storage.journal import Connection as JournalConnection
from kefu.storage.journal import Journal
from protocol.codes import ERRORS, ErrorCode
from protocol.server import Error, Fault
from tests.fakes.entropy import SeededEntropy
from tests.simulation.bot import Bot
from tests.simulation.loop import Process
from tests.simulation.network import Network
from tests.simulation.postgres import Pool, Postgres
from tests.simulation.redis import Redis, SimulatedBus, SimulatedDirectory

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STOP_WITHIN_S = 15.0
FRAME_RATE, FRAME_BURST = 20.0, 60.0
SILENT_S, CLEANUP_EVERY_S = 6.0, 3.0  # nobody lives through the real half hour
READY_WITHIN_S = 15.0
HAND_OVER_WITHIN_S = 3.0
DRAIN_WINDOW_S = 2.0
PENDING_S, GONE_S = 8.0, 6.0  # nor through ten minutes or three
TURNS_PER_MINUTE = 1000  # a minute in here holds an hour of talk
RULES = Rules(keywords=("human",), failure_words=("sorry",), failure_threshold=2)


class NotReady(Exception):
    """Redis did not answer in time: the process ends, and is started again."""


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
    redis: Redis
    network: Network
    clock: LoopClock
    entropy: SeededEntropy
    metrics: Metrics
    is_bot_ready: bool
    bot: Bot
    is_on_duty: Callable[[], bool]
    identities: dict[str, CustomerIdentity | AgentIdentity]

    def actor_failed(self, actor: ActorId, error: BaseException) -> None: ...


class Instance:
    """Run it in its process's context; `stop` ends it in order, killing the process does not."""

    def __init__(self, process: Process, around: Surroundings) -> None:
        self.process = process
        self.is_open = False
        self.is_leaving = False
        self.hub = Hub()
        self.cluster: Cluster
        self.router: Router
        self.chat: ASGIApp
        self.workbench: ASGIApp
        self._around = around
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Join, serve, leave. Raises OSError and the like when the stores are not there."""
        around, process = self._around, self.process
        pool = cast(DatabasePool, Pool(around.postgres, process))
        chats = PostgresChats(pool)
        heads = Heads(self.hub, chats, lambda: len(self.cluster.slots.members) > 1)
        self.cluster = self._make_cluster(PostgresClaims(pool), heads)

        async def connect() -> JournalConnection:
            return cast(JournalConnection, await around.postgres.connect(process))

        journal = Journal(
            connect, on_commit=around.metrics.note_commit, on_doubt=self.cluster.slots.doubt
        )
        world = conversation_ports.World(
            chats=chats,
            journal=journal,
            publisher=self.cluster.bridge,
            clock=around.clock,
            entropy=around.entropy,
            epoch_of=self.cluster.slots.epoch_of,
            bot=lambda: around.bot if around.is_bot_ready else None,
            rules=RULES,
            duty=lambda _at, _team_id: Duty(around.is_on_duty()),
            turns_per_minute=TURNS_PER_MINUTE,
            turns_per_minute_vip=TURNS_PER_MINUTE,
            pending_timeout_s=PENDING_S,
        )
        drain = Drain(self.hub, around.entropy, DRAIN_WINDOW_S)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.run)
            tasks.start_soon(heads.run)
            async with self._make_router(world, pool, chats) as self.router:
                self.cluster.attach(self.router)
                tasks.start_soon(self.cluster.run)
                if not await self.cluster.slots.ready(within_s=READY_WITHIN_S):
                    raise NotReady
                tasks.start_soon(self._make_cleanup(chats).run)
                self._open_sockets(chats, drain)
                await self._stopping.wait()
                await self._leave(drain)
            tasks.cancel_scope.cancel()
        with anyio.move_on_after(1.0):
            await self.cluster.slots.resign()

    async def _leave(self, drain: Drain) -> None:
        self.is_leaving = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drain.run)
            await self.cluster.drain(within_s=HAND_OVER_WITHIN_S)
        await self._shut_sockets()

    def _make_cluster(self, claims: PostgresClaims, heads: Heads) -> Cluster:
        """As kefu/membership.py does, but for the parts of the world."""
        redis, process, clock = self._around.redis, self.process, self._around.clock

        def undelivered(message: object) -> None:
            origin: Origin | None = getattr(message, "origin", None)
            if origin is not None:
                fault = Fault(
                    ErrorCode.OVERLOADED,
                    ERRORS[ErrorCode.OVERLOADED].sentence,
                    getattr(message, "chat_id", None),
                    RETRY_AFTER_S,
                )
                cluster.bridge.reply(origin, Error(fault, clock.now(), origin.frame_id))

        def changed(slots: frozenset[int]) -> None:
            if slot_of(dispatch.MAIN) in slots:
                self.router.ref(dispatch.KIND, dispatch.MAIN).tell(dispatch.Tick())
            if slots:
                heads.look_now()

        cluster = Cluster(
            process.name,
            Member(process.name),
            bus=SimulatedBus(redis, process),
            directory=SimulatedDirectory(redis, process),
            claims=claims,
            prefix="kefu:",
            audience=self.hub,
            codec=Codec(KINDS),
            on_undelivered=undelivered,
            on_changed=changed,
            on_missed=heads.look_now,
        )
        self.hub.on_topic = lambda topic, is_on: cluster.bridge.listening(topic, is_on=is_on)
        return cluster

    def _make_router(
        self, world: conversation_ports.World, pool: DatabasePool, chats: PostgresChats
    ) -> Router:
        async def load_waiting() -> list[dispatch.Waiting]:
            return [waiting_of(chat) for chat in await chats.waiting()]

        desks = agent_ports.World(
            desks=PostgresDesks(pool, chats.active, _NoTrail()),
            publisher=world.publisher,
            clock=world.clock,
            entropy=world.entropy,
            connections_of=self._connections_of,
            is_living=lambda id: instance_of(id) in self.cluster.slots.members,
            epoch_of=world.epoch_of,
            gone_after_s=GONE_S,
        )
        queue = dispatch_actor.World(
            load_waiting,
            world.publisher,
            world.clock,
            world.entropy,
            self._agents_here,
            load_busy=chats.busy_agents,
        )
        kinds = (
            Kind(conversations.KIND, lambda key: ConversationActor(UUID(key), world)),
            Kind(agents.KIND, lambda key: AgentActor(UUID(key), desks)),
            Kind(dispatch.KIND, lambda _key: dispatch_actor.QueueActor(queue)),
        )
        return Router(
            kinds,
            random=world.entropy.random,
            on_crash=self._around.actor_failed,
            transport=self.cluster.transport,
        )

    def _connections_of(self, agent_id: UUID) -> list[str]:
        topic = agent_topic(agent_id)
        return [listener.id for listener in self.hub if topic in listener.topics]

    def _agents_here(self) -> list[UUID]:
        topics = {*self.hub.topics(), *self.cluster.bridge.topics()}
        return sorted(id for topic in topics if (id := agent_of(topic)) is not None)

    def _make_cleanup(self, chats: PostgresChats) -> Cleanup:
        def is_here(customer_id: UUID) -> bool:
            topic = customer_topic(customer_id)
            return self.hub.count(topic) > 0 or self.cluster.bridge.is_heard(topic)

        around = cleanup.World(
            chats=chats,
            clock=self._around.clock,
            is_here=is_here,
            tell=lambda customer_id, message: self.router.ref(
                conversations.KIND, str(customer_id)
            ).tell(message),
        )
        return Cleanup(around, timeout_s=SILENT_S, every_s=CLEANUP_EVERY_S)

    def _open_sockets(self, chats: PostgresChats, drain: Drain) -> None:
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
            connection_id=lambda: f"{self.process.name}{SEPARATOR}{around.entropy.uuid()}",
        )
        door = Door(
            accounts=cast(Accounts, _Gate(around.identities)),
            tokens=cast(Tokens, None),
            entropy=around.entropy,
            allow_guests=False,
            allowed_origins=frozenset(),
            max_connections=10_000,
            max_connections_per_person=20,
            drain=drain,
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
