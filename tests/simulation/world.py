"""Everything of one run, made from a seed: stores, network, people, incarnations."""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from datetime import timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from actors import ActorId
from kefu.agents.tokens import AgentIdentity, CustomerIdentity
from kefu.gateway.metrics import Metrics
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import Unwritable
from protocol.accounts import Role
from protocol.wire import Rejection, from_server
from tests.fakes.entropy import SeededEntropy
from tests.simulation.agent import Agent, agent_id
from tests.simulation.bot import Bot
from tests.simulation.client import Client
from tests.simulation.customer import Customer, customer_id
from tests.simulation.history import History, Kind
from tests.simulation.instance import START, LoopClock
from tests.simulation.loop import MortalLoop
from tests.simulation.network import Link, Network
from tests.simulation.nodes import Nodes
from tests.simulation.postgres import Postgres
from tests.simulation.redis import Redis
from tests.simulation.rules import Rules
from tests.simulation.sizes import size_of
from tests.simulation.storms import Storms
from tests.simulation.supervisor import Supervisor
from tests.simulation.tables import Columns, Tables
from tests.simulation.weather import ClusterClimate, Surprise, Weather

FOREVER: Final = START + timedelta(days=365)
CANARY: Final = re.compile(rb"~[cs][0-9a-f]+~")
CRASHES: Final = 10
CRASHES_WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 1.0


def is_injected(error: BaseException | None) -> bool:
    """Whether it is the simulated database's doing, and not the program's."""
    is_unwritable = isinstance(error, Unwritable) and str(error) == Surprise.__name__
    return is_unwritable or isinstance(error, Surprise | StoreUnavailable)


class World:
    """`finished` is set when enough was said, or as soon as a rule was broken."""

    def __init__(
        self,
        seed: int,
        message_count: int,
        loop: MortalLoop,
        metrics: Metrics,
        *,
        node_count: int = 1,
        is_late: bool = False,
    ) -> None:
        self.seed = seed
        self.node_count = node_count
        self.loop = loop
        self.metrics = metrics
        self.history = History()
        self.violations: list[tuple[str, str]] = []
        self.finished = asyncio.Event()
        self.is_tidying = False
        self.said = 0
        self.sent = 0
        self.shown: Counter[str] = Counter()
        """To customers, `str` and `bytes`; to agents, words for them alone."""
        self.message_count = message_count
        self.context: Context = copy_context()
        chance = Random(f"{seed} world")
        self._secrets = Random(f"{seed} secrets")
        self.weather = Weather(Random(f"{seed} weather"), loop.time, is_late=is_late)
        self.entropy = SeededEntropy(seed)
        self.clock = LoopClock(loop)
        self.pause_s = chance.choice((0.3, 0.8, 2.0))
        self.cluster_climate = ClusterClimate.of(Random(f"{seed} cluster"), node_count)
        is_scarce = self.cluster_climate.is_scarce
        self.is_bot_ready = chance.random() < 0.8 and not is_scarce
        self._closes_every_s = chance.choice((None, None, 20.0))
        self.rules = Rules(self.violate)
        self.tables = self.rules.tables = Tables(self._committed)
        self.tables.on_claim = self._claimed
        self.redis = Redis(Random(f"{seed} redis"), loop.time)
        self.postgres = Postgres(self.tables, self.weather)
        self.network = Network(self.weather, self._look)
        self.network.on_failure = self._socket_failed
        self.identities: dict[str, CustomerIdentity | AgentIdentity] = {}
        self.customers: list[Customer] = []
        self.agents: list[Agent] = []
        self.bot = Bot(self)
        self.nodes = Nodes(self, node_count)
        self._owners: dict[UUID, int] = {}
        self._failures: dict[ActorId, deque[float]] = {}
        self._settle(chance)

    @property
    def is_calm(self) -> bool:
        return self.weather.is_calm

    @property
    def now(self) -> float:
        return self.loop.time()

    def is_on_duty(self) -> bool:
        """In some worlds humans come and go in shifts."""
        every_s = self._closes_every_s
        return every_s is None or self.is_calm or self.now % every_s < every_s * 0.6

    # --- the people -------------------------------------------------------------------------------

    def _settle(self, chance: Random) -> None:
        for number in range(chance.randint(3, 10)):
            self._add_customer(number, device_count=chance.choice((1, 1, 2)), chance=chance)
        for number in range(chance.randint(2, 5)):
            places = chance.choice((1, 2, 3, 5))
            self._add_agent(number, max_sessions=1 if self.cluster_climate.is_scarce else places)
        self.agent_ids = [agent.person_id for agent in self.agents]

    def _add_customer(self, number: int, *, device_count: int, chance: Random) -> None:
        id = customer_id(number)
        self._owners[id] = number
        self.history.call(id, f"c{number}")
        self.identities[f"c{number}"] = CustomerIdentity(
            customer_id=id,
            sub=f"c{number}",
            name=f"Customer {number}",
            email=None,
            phone=None,
            vip=chance.random() < 0.2,
            locale=chance.choice(("zh-CN", "en", None)),
            is_guest=False,
            expires_at=FOREVER,
        )
        self.customers += [Customer(self, number, device) for device in range(device_count)]

    def _add_agent(self, number: int, *, max_sessions: int) -> None:
        id, name = agent_id(number), f"Agent {number}"
        self.history.call(id, f"a{number}")
        role: Role = "supervisor" if number == 0 else "agent"
        self.identities[f"a{number}"] = AgentIdentity(
            agent_id=id,
            username=f"a{number}",
            name=name,
            role=role,
            session_id=id,
            expires_at=FOREVER,
        )
        self.tables.agents[id] = {
            "id": id,
            "username": f"a{number}",
            "name": name,
            "avatar_url": None,
            "role": role,
            "max_sessions": max_sessions,
            "status": "online",
            "status_note": None,
            "is_active": True,
            "created_at": START,
            "last_login_at": None,
            "skills": [],
            "team_ids": [],
        }
        self.agents.append((Supervisor if role == "supervisor" else Agent)(self, number))

    @property
    def clients(self) -> list[Client]:
        return [*self.customers, *self.agents]

    # --- what the people may know -----------------------------------------------------------------

    def some_chat_not_of(self, person_id: UUID, chance: Random) -> UUID | None:
        found = [
            chat_id
            for chat_id, life in self.rules.lives.items()
            if life.customer_id != person_id and life.agent_id != str(person_id)
        ]
        return chance.choice(found[-20:]) if found else None

    def secret(self) -> str:
        """A word for the staff alone. Every canary is shaped like this, whoever's it is."""
        return f"~s{self._secrets.getrandbits(40):010x}~"

    def canary_of(self, chat_id: UUID) -> str:
        return f"~c{self._owners[self.rules.lives[chat_id].customer_id]}~"

    def places_of(self, agent: UUID) -> tuple[int, int]:
        """How many chats the agent has, and may have, by the tables."""
        held = [row for row in self.tables.in_status("active") if row["agent_id"] == agent]
        return len(held), self.tables.agents[agent]["max_sessions"]

    def count_message(self) -> None:
        self.said += 1
        if self.said >= self.message_count:
            self.finished.set()

    # --- time -------------------------------------------------------------------------------------

    def later(self, delay_s: float, call: Callable[..., None], *args: Any) -> None:
        self.loop.call_later(delay_s, call, *args, context=self.context)

    def soon(self, call: Callable[..., None], *args: Any) -> None:
        self.loop.call_soon(call, *args, context=self.context)

    def begin(self) -> None:
        self.nodes.begin()
        for client in self.clients:
            client.start()
        self.later(LOOK_EVERY_S, self._measure)
        self.storms = Storms(self)
        self.postgres.on_written = self.storms.written

    def connect(self, client: Client, path: str, token: str) -> Link | None:
        """To any instance that is there; None when nobody listens."""
        instance = self.nodes.pick()
        if instance is None:
            return None
        app = instance.workbench if path == "/ws/workbench" else instance.chat
        return self.network.connect(client, app, instance.process, path, token)

    # --- looking ----------------------------------------------------------------------------------

    def note(self, who: str, kind: Kind, what: str, *details: object) -> None:
        self.history.add(self.now, who, kind, what, *details)

    def violate(self, rule: str, sentence: str) -> None:
        self.violations.append((rule, sentence))
        self.note("checker", "broken", rule, sentence)
        self.finished.set()

    def _claimed(self, slots: Sequence[int], instance: str) -> None:
        self.note("postgres", "store", "claim", instance, len(slots))
        self.rules.claimed(slots, instance)

    def _committed(
        self, chats: list[Columns], messages: list[Columns], events: list[Columns]
    ) -> None:
        for event in events:
            if event["kind"] == "Opened":
                self.history.call(event["chat_id"], f"chat-{len(self.rules.lives) + 1}")
            self.note("postgres", "store", event["kind"], event["chat_id"], event["log_id"])
        for message in messages:
            told = (message["chat_id"], message["seq"], message["content"])
            self.note("postgres", "store", message["sender_type"], *told)
        self.rules.committed(chats, messages, events)

    def _look(self, link: Link, data: str | bytes) -> Any:
        read = from_server.read_msgpack if isinstance(data, bytes) else from_server.read_json
        frame: Any = read(data)  # type: ignore[arg-type]  # each its own
        if isinstance(frame, Rejection):
            self.violate("I12", f"the server said what is no frame: {frame.sentence}")
            return frame
        self.rules.left_the_server(frame)
        canaries = CANARY.findall(data if isinstance(data, bytes) else data.encode())
        if isinstance(link.peer, Customer):
            self.shown[type(data).__name__] += 1
            self.rules.shown_to_customer(frame)
            if set(canaries) - {link.peer.canary.encode()}:
                self.violate("I4", f"{link.peer.name} was sent what is not theirs: {data!r}")
        elif isinstance(link.peer, Agent):
            self.shown["secrets"] += sum(word.startswith(b"~s") for word in canaries)
            self.rules.shown_to_agent(link.peer.person_id, frame)
        return frame

    def _measure(self) -> None:
        self.later(LOOK_EVERY_S, self._measure)
        for instance in self.nodes.open:
            too_large = size_of(instance)
            if too_large is not None:
                self.violate("I11", f"{instance.process}: {too_large}")

    def actor_failed(self, actor: ActorId, error: BaseException) -> None:
        self.note("actors", "info", "failed", actor, type(error).__name__)
        failures = self._failures.setdefault(actor, deque(maxlen=CRASHES))
        failures.append(self.now)
        if len(failures) == CRASHES and self.now - failures[0] < CRASHES_WITHIN_S:
            self.violate("I15", f"{actor} failed {CRASHES} times in {CRASHES_WITHIN_S} s")
        if not is_injected(error):
            self.violate("I15", f"{actor} failed: {error!r}")

    def _socket_failed(self, error: BaseException) -> None:
        self.violate("I15", f"a socket failed: {error!r}")
