"""A whole kefu behind the facade, in one process: real stores, real actors, a bot by script.

What is not here is the web server and other instances. The clock is turned by hand; deadlines and
pauses are the loop's.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import anyio
import asyncpg
import httpx
from redis.asyncio import Redis
from starlette.applications import Starlette

from actors import Actor, ActorId, Kind, Router
from kefu.agents import messages as agents
from kefu.agents.actor import AgentActor
from kefu.agents.desks import PostgresDesks
from kefu.agents.guard import Guard
from kefu.agents.ports import World as AgentWorld
from kefu.agents.presences import ActorPresences
from kefu.bot.copilot import Suggestion
from kefu.bot.health import BotHealth, TokenCache
from kefu.bot.messages import Said
from kefu.bot.showcase import Showcase
from kefu.bot.summary import Occasion, Remark
from kefu.cluster.placement import SLOT_COUNT
from kefu.cluster.store import claim
from kefu.conversations import messages as conversations
from kefu.conversations.actor import ConversationActor
from kefu.conversations.announce import waiting_of
from kefu.conversations.escalation import Rules
from kefu.conversations.figures.store import PostgresFigures
from kefu.conversations.ports import World as ConversationWorld
from kefu.conversations.sessions.store import PostgresSessions
from kefu.conversations.store import PostgresChats
from kefu.delivery import agent_topic
from kefu.dispatch import messages as dispatch
from kefu.dispatch.actor import QueueActor
from kefu.dispatch.actor import World as QueueWorld
from kefu.gateway.door import Door
from kefu.gateway.facade.call_rates import CallRates
from kefu.gateway.facade.callers import customer_id_of
from kefu.gateway.facade.ports import Facade
from kefu.gateway.facade.routes import routes
from kefu.gateway.health import Health
from kefu.gateway.hub import Hub
from kefu.gateway.metrics import Metrics
from kefu.gateway.ports import Backstage
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.gateway.stream_limits import Limits, StreamLimits
from kefu.shifts.messages import Duty
from kefu.storage.database import DatabasePool
from kefu.storage.journal import Journal
from kefu.storage.redis_calls import RedisCalls
from protocol.facade import BotCard
from tests.agents.office import Office
from tests.facade.peer import Peer
from tests.fakes.bot import ScriptedBot
from tests.fakes.products import FakeCatalogue, FakeRecommender

GAP_S = 0.01
CARD = BotCard("小福", "店铺助手", "https://shop.example/bot.png", "您好！")
HERE = ("192.0.2.7", 4711)


class Contexts:
    """The bot's conversations: a number for each."""

    def __init__(self) -> None:
        self.by_session: dict[str, str] = {}
        self.made = 0

    async def new(self, session: str) -> str:
        self.made += 1
        self.by_session[session] = f"conversation-{self.made}"
        return self.by_session[session]

    async def clear(self, session: str) -> str:
        return await self.new(session)

    async def find(self, session: str) -> str | None:
        return self.by_session.get(session)


class Condition:
    def __init__(self) -> None:
        self.health = BotHealth("knowledge", True)
        self.cache: TokenCache | None = None

    async def look(self) -> BotHealth:
        return self.health

    def token_cache(self) -> TokenCache | None:
        return self.cache


class Copilot:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def suggest(
        self, question_text: str, earlier: list[Said], locale: str | None
    ) -> list[Suggestion]:
        self.asked.append((question_text, [said.content for said in earlier], locale))
        return [Suggestion("三个工作日内。", "knowledge")]

    async def summarize(
        self, messages: list[Remark], locale: str | None, occasion: Occasion
    ) -> str:
        self.asked.append((len(messages), locale, occasion.reason))
        return "问退款"


class Worker:
    """An agent and their token."""

    def __init__(self, house: "House", id: UUID, name: str, token: str) -> None:
        self.house = house
        self.id = id
        self.name = name
        self.token = token
        self.headers = {"authorization": f"Bearer {token}"}

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.house.client.get(path, params=params, headers=self.headers)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.house.client.post(path, json=body, headers=self.headers)

    async def take(self, name: str) -> httpx.Response:
        return await self.post(f"/api/sessions/{name}/takeover", agent_id=str(self.id))

    async def release(self, name: str) -> httpx.Response:
        return await self.post(f"/api/sessions/{name}/release", agent_id=str(self.id))


class House:
    """`client` speaks plain HTTP to it, `stream` opens a stream of events."""

    def __init__(self, pool: DatabasePool, redis: "Redis", journal: Journal, epochs: Any) -> None:
        self.pool = pool
        self.redis = redis
        self.office = Office(pool)
        self.clock, self.entropy = self.office.clock, self.office.entropy
        self.hub, self.metrics = Hub(), Metrics()
        self.chats = PostgresChats(pool)
        self.sessions = PostgresSessions(pool)
        self.bot: ScriptedBot | None = ScriptedBot()
        self.bot.gap_s = GAP_S
        self.duty = Duty(is_open=True)
        self.contexts, self.condition, self.copilot = Contexts(), Condition(), Copilot()
        self.catalogue, self.recommender = FakeCatalogue(), FakeRecommender()
        self.mailed: list[UUID] = []
        self.crashes: list[BaseException] = []
        self.peers: list[Peer] = []
        self._journal, self._epochs = journal, epochs
        self.router = Router(
            (
                Kind(conversations.KIND, self._conversation),
                Kind(agents.KIND, self._agent),
                Kind(dispatch.KIND, lambda _key: self._queue()),
            ),
            random=self.entropy.random,
            on_crash=lambda _id, error: self.crashes.append(error),
        )
        self.backstage = Backstage(
            hub=self.hub,
            ref=self.router.ref,
            chats=self.chats,
            clock=self.clock,
            metrics=self.metrics,
            frame_rate=1000.0,
            frame_burst=1000.0,
            known_teams=self._no_teams,
            connection_id=lambda: str(self.entropy.uuid()),
            find_product=self.catalogue.find,
        )
        self.limits = Limits()
        self.calls_per_minute = 6000
        self.allow_guests = True
        self.app = self.make_app()

    def make_app(self) -> Starlette:
        """Anew, as the limits are now."""
        calls = RedisCalls(self.redis)
        self.streams = StreamLimits(calls, "{test}:", self.limits, self.entropy)
        facade = Facade(
            backstage=self.backstage,
            door=self._door(),
            entropy=self.entropy,
            guard=Guard(self.office.accounts),
            presences=ActorPresences(self.router.ref),
            sessions=self.sessions,
            figures=PostgresFigures(self.pool),
            streams=self.streams,
            rates=CallRates(calls, "{test}:", self.clock, self.calls_per_minute),
            contexts=self.contexts,
            conversation_of=self.contexts.find,
            condition=self.condition,
            copilot=self.copilot,
            showcase=Showcase(self.catalogue, self.recommender),
            bot=CARD,
            health=Health(vital={}, helpful={}),
            send_transcript=self._mail,
            settings=lambda: {"port": 8000},
            version="0.0",
        )
        return Starlette(routes=routes(facade), exception_handlers=EXCEPTION_HANDLERS)

    def _door(self) -> Door:
        return Door(
            accounts=self.office.accounts,
            tokens=self.office.tokens,
            entropy=self.entropy,
            allow_guests=self.allow_guests,
            allowed_origins=frozenset(("https://shop.example",)),
            max_connections=1000,
            max_connections_per_person=1000,
        )

    async def _no_teams(self) -> frozenset[UUID]:
        return frozenset()

    async def _mail(self, chat_id: UUID) -> str:
        self.mailed.append(chat_id)
        return "sent"

    # --- actors -----------------------------------------------------------------------------------

    def _conversation(self, key: str) -> Actor[Any]:
        world = ConversationWorld(
            chats=self.chats,
            journal=self._journal,
            publisher=self.hub,
            clock=self.clock,
            entropy=self.entropy,
            epoch_of=self._epochs.__getitem__,
            bot=lambda: self.bot,
            rules=Rules(keywords=("人工", "投诉"), failure_words=("抱歉",)),
            duty=lambda _at, _team_id: self.duty,
            find_product=self.catalogue.find,
        )
        return ConversationActor(UUID(key), world)

    def _agent(self, key: str) -> Actor[Any]:
        world = AgentWorld(
            desks=PostgresDesks(self.pool, self.chats.active, self.office.audit),
            publisher=self.hub,
            clock=self.clock,
            entropy=self.entropy,
            connections_of=self._connections_of,
            is_living=lambda _connection_id: True,
            epoch_of=self._epochs.__getitem__,
        )
        return AgentActor(UUID(key), world)

    def _queue(self) -> Actor[Any]:
        async def load_waiting() -> list[dispatch.Waiting]:
            return [waiting_of(chat) for chat in await self.chats.waiting()]

        world = QueueWorld(load_waiting, self.hub, self.clock, self.entropy, agents_here=lambda: ())
        return QueueActor(world)

    def _connections_of(self, agent_id: UUID) -> list[str]:
        topic = agent_topic(agent_id)
        return [each.id for each in self.hub if topic in each.topics]

    # --- people -----------------------------------------------------------------------------------

    async def worker(self, name: str = "小可", **fields: Any) -> Worker:
        username = f"a{uuid4().hex[:10]}"
        made = await self.office.create(username, name, **fields)
        token = (await self.office.enter(username)).token
        return Worker(self, made.id, name, token)

    def token(self, sub: str, **claims: Any) -> dict[str, str]:
        """The header of a customer whose token the shop signed."""
        token = self.office.tokens.customer(sub, ttl_s=6000, **claims)
        return {"authorization": f"Bearer {token}"}

    async def post(self, path: str, headers: Any = None, **body: Any) -> httpx.Response:
        return await self.client.post(path, json=body, headers=headers)

    async def ask(self, name: str, message: str, **more: Any) -> dict[str, Any]:
        """Ask the bot; the answer's body."""
        told = await self.post("/api/chat", message=message, user_id=name, **more)
        body: dict[str, Any] = told.json()
        return body

    async def session(self, name: str, **more: Any) -> dict[str, Any]:
        """The session, as whoever knows its name sees it."""
        told = await self.client.get(f"/api/sessions/{name}", **more)
        assert told.status_code == 200, told.text
        session: dict[str, Any] = told.json()["data"]["session"]
        return session

    async def is_asked(self, name: str) -> bool:
        """Whether the bot is, and the question is in the chat: the bot may be first."""
        told = await self.client.get(f"/api/sessions/{name}")
        return bool(self.bot.asked) and told.status_code == 200

    async def end(self, name: str) -> None:
        """Have the customer end their chat, as they would on a socket."""
        customer_id = customer_id_of(name)
        end = conversations.EndChat(None, conversations.Party("customer", customer_id))
        await self.router.ref(conversations.KIND, str(customer_id)).ask(end, within=10)

    async def forget(self, name: str) -> None:
        """Have the session's conversation leave, as when it moves; it comes back when asked."""
        id = ActorId(conversations.KIND, str(customer_id_of(name)))
        await self.router.evict(lambda each: each == id, lambda *_: None, within=5)

    async def escalate(self, name: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
        """Call a human; the session."""
        body = {"session_name": name, "reason": reason}
        told = await self.client.post("/api/manual/escalate", json=body, **more)
        assert told.status_code == 200, told.text
        data: dict[str, Any] = told.json()["data"]
        return data

    def stream(self, method: str = "POST", path: str = "/api/chat/stream", **more: Any) -> Peer:
        peer = Peer(self.app, method, path, client=HERE, **more)
        self.peers.append(peer)
        return peer

    def answer_stream(self, name: str, message: str, **more: Any) -> Peer:
        body = {"message": message, "user_id": name, **more}
        return self.stream(body=json.dumps(body).encode())

    async def answer_begun(self, name: str, message: str, **more: Any) -> Peer:
        """The stream of an answer whose first piece was heard; the bot waits for `say_rest`."""
        self.bot.cues = asyncio.Semaphore(1)
        peer = self.answer_stream(name, message, **more)
        await peer.hear("message")
        return peer

    def say_rest(self) -> None:
        """No more cues: the bot goes on at its own pace."""
        cues, self.bot.cues = self.bot.cues, None
        assert cues is not None
        cues.release()

    async def answer_by_cue(self, name: str, message: str) -> Peer:
        """The stream of an answer of which each piece was heard before the next was said."""
        self.bot.cues = cues = asyncio.Semaphore(0)
        peer = self.answer_stream(name, message)
        for number in range(len(self.bot.pieces)):
            cues.release()
            await peer.hear("message", number + 1)
        cues.release()
        return await peer.end()

    def listen(self, name: str | None = None, **more: Any) -> Peer:
        query = "" if name is None else f"session_name={name}"
        return self.stream("GET", query=query, **more)

    @property
    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=HERE)
        return httpx.AsyncClient(transport=transport, base_url="http://kefu")


@asynccontextmanager
async def opened(pool: DatabasePool, database: str, redis: "Redis") -> AsyncIterator[House]:
    connection = await asyncpg.connect(database)
    epochs = await claim(connection, range(SLOT_COUNT), "test")
    await connection.close()
    journal = Journal(lambda: asyncpg.connect(database))
    house = House(pool, redis, journal, epochs)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        async with house.router:
            yield house
            for peer in house.peers:  # of a test that failed in the middle
                peer.task.cancel()
            await asyncio.gather(*(peer.task for peer in house.peers), return_exceptions=True)
        tasks.cancel_scope.cancel()
    assert house.crashes == []
    assert len(house.hub) == 0, "somebody has not left"
