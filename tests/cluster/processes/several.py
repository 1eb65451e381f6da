"""Three instances of kefu, each a process of its own: started, killed, paused and told to leave."""

import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid5

import anyio
import asyncpg
import httpx
import msgspec

from kefu.agents.tokens import NAMESPACE
from kefu.cluster.placement import SLOT_COUNT, owner_of, slot_of
from kefu.cluster.ports import Member
from tests.cluster.processes.own_stores import OwnStores
from tests.server import People, Server, people_of, running
from tests.until import until

COUNT = 3
CUT_OFF = 2  # the one that tests can keep from Redis
FAIR_SHARE = SLOT_COUNT // 8
OFTEN = {"KEFU_MAX_FRAME_RATE": "1000", "KEFU_MAX_FRAME_BURST": "10000"}


class Several:
    """`servers` by their number; each comes back at its own address."""

    def __init__(self, stores: OwnStores, database: str, tasks: anyio.abc.TaskGroup) -> None:
        self.stores = stores
        self.database = database
        self.servers: list[Server | None] = [None] * COUNT
        self._tasks = tasks
        self._ports = [0] * COUNT
        self._redis_urls = [stores.addresses.redis_url] * COUNT
        self._names: dict[str, int] = {}
        """What the cluster calls each life, to the instance's number."""
        self.people: People

    @property
    def sockets(self) -> list[str]:
        """Where each one's sockets are, running or not."""
        return [f"ws://127.0.0.1:{port}/ws/chat" for port in self._ports]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def server(self, number: int) -> Server:
        server = self.servers[number]
        assert server is not None, f"instance {number} does not run"
        return server

    def people_at(self, number: int) -> People:
        """The same town, entered through that instance."""
        people = self.people
        return People(self.server(number), people.accounts, people.roster, people.tokens)

    # --- their lives ------------------------------------------------------------------------------

    async def start(self, number: int, *, redis_url: str | None = None) -> Server:
        """Start it where it was before; it may reach Redis by another way."""
        if redis_url is not None:
            self._redis_urls[number] = redis_url
        server: Server = await self._tasks.start(self._live, number)
        self._ports[number] = int(server.url.rpartition(":")[2])
        self.servers[number] = server
        return server

    async def _live(self, number: int, *, task_status: anyio.abc.TaskStatus[Server]) -> None:
        variables = {
            **OFTEN,
            "KEFU_DATABASE_URL": self.database,
            "KEFU_REDIS_URL": self._redis_urls[number],
        }
        async with running(variables, port=self._ports[number]) as server:
            task_status.started(server)
            await server.process.wait()

    async def kill(self, number: int) -> None:
        server, self.servers[number] = self.server(number), None
        assert server.troubles == []
        await server.kill()

    async def stop(self, number: int) -> None:
        """As a rolling upgrade does."""
        server = self.server(number)
        server.process.send_signal(signal.SIGTERM)
        with anyio.fail_after(30):
            code = await server.process.wait()
        self.servers[number] = None
        assert code == 0, "".join(server.said)[-2000:]
        assert server.troubles == []

    async def use_redis_directly(self, number: int) -> None:
        """Go back to the ordinary way."""
        if self.servers[number] is not None:
            await self.stop(number)
        await self.start(number, redis_url=self.stores.addresses.redis_url)

    async def end(self) -> None:
        async with anyio.create_task_group() as ends:
            for server in self.servers:
                if server is not None:
                    server.process.send_signal(signal.SIGCONT)
                    ends.start_soon(server.kill)

    # --- how they stand ---------------------------------------------------------------------------

    async def whole(self) -> None:
        """Return when all run, know each other and own a fair share of the slots."""
        for number, server in enumerate(self.servers):
            if server is None:
                await self.start(number)
        await until(self._is_whole, within_s=60)
        await until(self._are_named)

    async def in_place(self) -> frozenset[int]:
        """The slots that are where they belong, when all run: nobody gives those away."""
        owners = await self._slot_owners()
        weights = dict.fromkeys(owners.values(), 1.0)
        return frozenset(s for s, name in owners.items() if owner_of(s, weights) == name)

    async def _is_whole(self) -> bool:
        found = [await self.metrics(number) for number in range(COUNT)]
        owned = [int(one["kefu_slots_owned"]) for one in found]
        knows_all = all(one["kefu_instances"] == COUNT for one in found)
        return knows_all and sum(owned) == SLOT_COUNT and min(owned) >= FAIR_SHARE

    async def metrics(self, number: int) -> Counter[str]:
        """Each by its name, the sum over its labels."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"{self.urls[number]}/metrics")).text
        found: Counter[str] = Counter()
        for name, value in re.findall(r"^(\w+)(?:{.*})? (\S+)$", text, re.MULTILINE):
            found[name] += float(value)
        return found

    async def readiness(self, number: int) -> str:
        """`ready`, `degraded` or `unready`."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.urls[number]}/readyz")
        status: str = answer.json()["status"]
        return status

    async def _are_named(self) -> bool:
        """Redis may have forgotten them, until they say again that they live."""
        numbers = {self.server(number).process.pid: number for number in range(COUNT)}
        async with self.stores.redis() as redis:
            keys = await redis.keys("*}:members")
            members = await redis.hgetall(keys[0]) if keys else {}
        for name, described in members.items():
            process_id = int(msgspec.json.decode(described, type=Member).name.rpartition(":")[2])
            if process_id in numbers:
                self._names[name.decode()] = numbers.pop(process_id)
        return not numbers

    async def owners(self) -> dict[int, int]:
        """By slot, the number of whoever may write, by PostgreSQL; lives the last `whole` did not
        see are -1."""
        owners = await self._slot_owners()
        return {slot: self._names.get(name, -1) for slot, name in owners.items()}

    async def _slot_owners(self) -> dict[int, str]:
        connection = await asyncpg.connect(self.database)
        try:
            rows = await connection.fetch("SELECT slot, instance FROM slot_owner")
        finally:
            await connection.close()
        return {row["slot"]: row["instance"] for row in rows}


def slot_of_customer(sub: str) -> int:
    """Where the conversation of the shop's customer of that name lives."""
    customer_id: UUID = uuid5(NAMESPACE, f"customer:{sub}")
    return slot_of(str(customer_id))


@asynccontextmanager
async def open_several(stores: OwnStores, database: str) -> AsyncIterator[Several]:
    async with anyio.create_task_group() as tasks:
        several = Several(stores, database, tasks)
        try:
            for number in range(COUNT):
                await several.start(number)
            async with people_of(several.server(0), database) as people:
                several.people = people
                yield several
        finally:
            with anyio.CancelScope(shield=True):
                await several.end()
        tasks.cancel_scope.cancel()
