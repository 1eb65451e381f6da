"""Pairs who talk at an open-loop rate while something goes wrong, and the judgement afterwards.

Customers and agents sit at different instances, or both where their chat lives. At the end all that
was said must be there once, in order, on both sides and in PostgreSQL, written under epochs that
never went back.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count

import anyio
import asyncpg

from tests.cluster.processes.several import COUNT, Several, slot_of_customer
from tests.cluster.processes.traveller import Traveller
from tests.stories.test_kills_under_load import EVERY_S, MESSAGES, PHASES, Pair, compare, write
from tests.until import until

SEED = 1
SETTLED_WITHIN_S = 30.0
MET_WITHIN_S = 30.0
_numbers = count(1)

EPOCHS_WENT_BACK = """
    SELECT count(*) FROM (
        SELECT epoch < lag(epoch) OVER (PARTITION BY chat_id ORDER BY {order}) AS went_back
        FROM {table}
    ) AS rows WHERE went_back
"""
HAPPENED_TWICE = """
    SELECT chat_id, kind FROM chat_events WHERE chat_id = ANY($1)
    GROUP BY chat_id, kind HAVING count(*) > 1
"""
SAID_BY_THE_SYSTEM = """
    SELECT count(*) FROM chat_messages WHERE chat_id = ANY($1) AND sender_type = 'system'
"""


class Couple(Pair):
    """Two travellers; `slot` is where their chat lives."""

    @property
    def people(self) -> list[Traveller]:
        return [person for person in self if isinstance(person, Traveller)]

    @property
    def slot(self) -> int:
        return slot_of_customer(self.customer.name.strip("~"))


class Load:
    def __init__(self, town: Several, pairs: Sequence[Couple]) -> None:
        self.town = town
        self.pairs = pairs
        self.everybody = [person for pair in pairs for person in pair.people]

    @property
    def message_count(self) -> int:
        return sum(len(person.letters) for person in self.everybody)

    async def local(self) -> list[Couple]:
        """The pairs whose people both sit where their chat lives."""
        owners = await self.town.owners()
        return [pair for pair in self.pairs if {p.at for p in pair.people} == {owners[pair.slot]}]

    def acked_between(
        self, since: float, until_: float, people: Iterable[Traveller] | None = None
    ) -> int:
        times = (at for p in people or self.everybody for at in p.acked_at.values())
        return sum(since < at < until_ for at in times)

    async def gap_closed(self, *, within_s: float) -> float:
        """How long until all that has been said by now is acknowledged and has been heard."""
        began = anyio.current_time()
        due = [
            (
                pair,
                sum(len(person.letters) for person in pair),
                [(p, each.key) for p in pair for each in p.letters if each.key not in p.acked],
            )
            for pair in self.pairs
        ]

        def is_closed() -> bool:
            return all(
                all(p.copies[pair.chat_id].have >= said for p in pair)
                and all(key in person.acked for person, key in unacked)
                for pair, said, unacked in due
            )

        try:
            await until(is_closed, within_s=within_s)
        except AssertionError as error:
            error.add_note("\n".join(self._open(pair, said, began) for pair, said, _ in due))
            raise
        return anyio.current_time() - began

    def _open(self, pair: Couple, said: int, began: float) -> str:
        """How a pair stands, for whoever reads why a test failed."""
        sides = (
            f"{p.name} at {p.at} has {p.copies[pair.chat_id].have} of {said}, "
            f"{p.unacked_count} unacknowledged, "
            f"refused {[(round(each.at - began, 2), each.fault) for each in p.refusals[-2:]]}, "
            f"away {[round(each.until - began, 2) for each in p.absences[-2:]]}"
            for p in pair.people
        )
        return f"slot {pair.slot}: {'; '.join(sides)}"


def places_of(number: int) -> tuple[int, tuple[int, int]]:
    """Where a pair's chat lives, and where its two sit: both there, one of them, neither."""
    owner = number % COUNT
    next_, last = (owner + 1) % COUNT, (owner + 2) % COUNT
    return owner, ((owner, owner), (owner, next_), (next_, last))[number // COUNT % 3]


async def meet(town: Several, number_of_pairs: int, tasks: anyio.abc.TaskGroup) -> list[Couple]:
    """Pairs that are connected and have a chat of their own; once each instance owns slots, or
    there would be no names for some."""
    await town.whole()
    owners, pairs = await town.owners(), []
    for number in range(number_of_pairs):
        owner, places = places_of(number)
        names = (f"c{each}" for each in _numbers)
        name = next(each for each in names if owners[slot_of_customer(each)] == owner)
        customer_token = town.people.tokens.customer(name, ttl_s=86_400)
        agent = await town.people.agent(f"agent-{name}")
        customer, desk = (
            Traveller(town.sockets, place, token, spoken, seed=SEED)
            for place, token, spoken in zip(
                places, (customer_token, agent.token), (f"~{name}~", f"~a-{name}~"), strict=True
            )
        )
        pairs.append(Couple(customer, desk))
        tasks.start_soon(customer.live)
        tasks.start_soon(desk.live)
    everybody = [person for pair in pairs for person in pair.people]
    await until(lambda: all(person.resumed_at for person in everybody), within_s=MET_WITHIN_S)
    async with anyio.create_task_group() as asking:
        for pair in pairs:
            asking.start_soon(_bring_together, pair)
    return pairs


async def _bring_together(pair: Couple) -> None:
    await _asked(pair.customer, "start_chat", {})
    await _asked(pair.agent, "accept_chat", {"chat_id": pair.chat_id})


async def _asked(person: Traveller, what: str, payload: dict[str, object]) -> None:
    """Until they have the chat. Said again on another line alone: a frame is lost with its line,
    and who is told to try again, while slots find their places at the beginning, begins anew. What
    nobody answers on a line that lives is a failure."""
    line = None

    def has_news() -> bool:
        return bool(person.copies) or (person.line is not None and person.line is not line)

    try:
        while not person.copies:
            line = person.line
            await person.send(what, payload)
            await until(has_news, within_s=MET_WITHIN_S)
    except AssertionError as error:
        error.add_note(f"{person.name} asked to {what}; refused before: {person.refusals}")
        raise


@asynccontextmanager
async def talking(town: Several, number_of_pairs: int) -> AsyncIterator[Load]:
    """Everybody says something twice a second; what became of all of it is judged at the end."""
    end = anyio.Event()
    async with anyio.create_task_group() as tasks:
        load = Load(town, await meet(town, number_of_pairs, tasks))
        start = anyio.current_time()
        for number, person in enumerate(load.everybody):
            due = start + number % PHASES * EVERY_S / PHASES
            tasks.start_soon(write, person, load.pairs[number // 2].chat_id, due, end)
        yield load
        end.set()
        await until(_all_settled(load), within_s=SETTLED_WITHIN_S)
        tasks.cancel_scope.cancel()
    await judge(load)


def _all_settled(load: Load) -> Callable[[], bool]:
    return lambda: all(pair.is_settled for pair in load.pairs)


async def judge(load: Load) -> None:
    """Nothing was lost, doubled, reordered or overheard, and nobody stale wrote anything."""
    chat_ids = [pair.chat_id for pair in load.pairs]
    connection = await asyncpg.connect(load.town.database)
    try:
        for pair in load.pairs:
            rows = await connection.fetch(MESSAGES, pair.chat_id)
            compare(pair, [tuple(row) for row in rows])
        for table, order in (("chat_messages", "seq"), ("chat_events", "log_id")):
            sql = EPOCHS_WENT_BACK.format(table=table, order=order)
            assert await connection.fetchval(sql) == 0, f"an earlier owner wrote into {table}"
        assert await connection.fetch(HAPPENED_TWICE, chat_ids) == []
        assert await connection.fetchval(SAID_BY_THE_SYSTEM, chat_ids) == 0
    finally:
        await connection.close()
    for server in load.town.servers:
        assert server is not None
        assert server.troubles == []
