"""The journal when PostgreSQL or the way to it fails: nothing lost, nothing twice, never stuck."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, cast

import anyio
import asyncpg
import pytest

from kefu.storage.database import DatabasePool
from kefu.storage.journal import Connection
from tests.fakes.proxy import Proxy, proxied_database
from tests.storage.entries import (
    Chat,
    in_the_way_of,
    outcome,
    outcomes,
    prepared,
    running,
    seqs,
    until_blocked,
)
from tests.until import until


@pytest.fixture
async def store(pool: DatabasePool) -> DatabasePool:
    return await prepared(pool)


@pytest.fixture
async def network(database: str) -> AsyncIterator[tuple[Proxy, str]]:
    async with proxied_database(database) as network:
        yield network


@pytest.mark.parametrize("lost", ["question", "answer"])
async def test_a_connection_cut_in_a_commit_loses_nothing_and_writes_nothing_twice(
    store: DatabasePool, network: tuple[Proxy, str], lost: str
) -> None:
    proxy, url = network
    chats = [Chat(slot) for slot in range(20)]
    async with running(lambda: asyncpg.connect(url)) as journal:
        await outcomes(journal, *(chat.entry(1) for chat in chats))
        setattr(proxy, f"lose_{lost}", True)
        said = await outcomes(journal, *(chat.entry(2) for chat in chats))

    assert proxy.opened_count == 2
    assert said == ["written"] * 20
    assert [await seqs(store, chat) for chat in chats] == [[1, 2]] * 20


@pytest.mark.parametrize("chunks", range(1, 10))
async def test_wherever_the_connection_is_cut_each_entry_is_there_once(
    store: DatabasePool, network: tuple[Proxy, str], chunks: int
) -> None:
    proxy, url = network
    chat = Chat()
    async with running(lambda: asyncpg.connect(url)) as journal:
        said = []
        for seq in range(1, 6):
            proxy.cut_after = chunks
            said.append(await outcome(journal, chat.entry(seq)))

    assert said == ["written"] * 5
    assert await seqs(store, chat) == [1, 2, 3, 4, 5]


async def test_a_commit_given_up_for_lost_that_comes_through_is_no_collision(
    store: DatabasePool, network: tuple[Proxy, str]
) -> None:
    proxy, url = network
    chat = Chat()
    entry = chat.entry(1)
    async with (
        running(lambda: asyncpg.connect(url)) as journal,
        in_the_way_of(store, entry) as let_go,
        anyio.create_task_group() as tasks,
    ):
        write = tasks.create_task(outcome(journal, entry))
        await until_blocked(store, "WITH found")
        proxy.cut()  # PostgreSQL does not notice: that statement goes on
        await until_blocked(store, "WITH found", 2)
        await let_go()

    assert write.return_value == "written"
    assert await seqs(store, chat) == [1]


async def test_a_database_gone_for_long_is_said_to_all_who_wait_and_forgotten_when_it_is_back(
    store: DatabasePool, network: tuple[Proxy, str]
) -> None:
    proxy, url = network
    async with running(lambda: asyncpg.connect(url), retry_for_s=0.4) as journal:
        assert await outcome(journal, Chat().entry(1)) == "written"
        proxy.is_refusing = True
        proxy.cut()
        said = await outcomes(journal, *(Chat(slot).entry(1) for slot in range(700)))
        assert Counter(said) == {"StoreUnavailable": 700}
        assert journal.depth == 0
        proxy.is_refusing = False

        assert await outcome(journal, Chat().entry(1)) == "written"


async def test_a_short_outage_is_waited_out(
    store: DatabasePool, network: tuple[Proxy, str]
) -> None:
    proxy, url = network
    chat = Chat()
    async with running(lambda: asyncpg.connect(url)) as journal, anyio.create_task_group() as tasks:
        await journal.append(chat.entry(1))
        proxy.is_refusing = True
        proxy.cut()
        write = tasks.create_task(outcome(journal, chat.entry(2)))
        opened = proxy.opened_count
        await until(lambda: proxy.opened_count >= opened + 2)
        proxy.is_refusing = False

    assert write.return_value == "written"
    assert await seqs(store, chat) == [1, 2]


async def test_a_silent_database_is_given_up_as_well(
    store: DatabasePool, network: tuple[Proxy, str]
) -> None:
    proxy, url = network
    async with running(
        lambda: asyncpg.connect(url), retry_for_s=0.2, commit_timeout_s=0.2
    ) as journal:
        await journal.append(Chat().entry(1))
        proxy.is_silent = True
        assert await outcome(journal, Chat().entry(1)) == "StoreUnavailable"
        proxy.is_silent = False
        assert await outcome(journal, Chat().entry(1)) == "written"


CONNECT_ERRORS = [
    OSError("no route"),
    ConnectionRefusedError(),
    TimeoutError(),
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.TooManyConnectionsError("too many"),
    asyncpg.InvalidPasswordError("no"),
    asyncpg.InvalidCatalogNameError("gone"),
    asyncpg.InternalClientError("?"),
    RuntimeError("a bug"),
]


@pytest.mark.parametrize("error", CONNECT_ERRORS, ids=lambda error: type(error).__name__)
async def test_no_failure_to_connect_ends_the_writer(
    store: DatabasePool, database: str, error: Exception
) -> None:
    failures = [error] * 3

    async def connect() -> Connection:
        if failures:
            raise failures.pop()
        return await asyncpg.connect(database)

    async with running(connect) as journal:
        assert await outcome(journal, Chat().entry(1)) == "written"
    assert failures == []


class Failing:
    """A real connection whose statement fails once, before or after it did its work."""

    def __init__(self, connection: Connection, errors: list[Exception], *, after: bool) -> None:
        self._connection = connection
        self._errors = errors
        self._after = after

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        if self._errors and not self._after:
            raise self._errors.pop()
        rows = await self._connection.fetch(*arguments, **options)
        if self._errors:
            raise self._errors.pop()
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


STATEMENT_ERRORS: list[tuple[Exception, str]] = [
    (ConnectionResetError(), "written"),
    (TimeoutError(), "written"),
    (asyncpg.ConnectionDoesNotExistError("gone"), "written"),
    (asyncpg.InterfaceError("connection is closed"), "written"),
    (asyncpg.InternalClientError("?"), "written"),
    (asyncpg.AdminShutdownError("bye"), "written"),
    (asyncpg.CrashShutdownError("bye"), "written"),
    (asyncpg.QueryCanceledError("slow"), "written"),
    (asyncpg.DiskFullError("full"), "StoreUnavailable"),
    (asyncpg.OutOfMemoryError("full"), "StoreUnavailable"),
    (asyncpg.ReadOnlySQLTransactionError("standby"), "StoreUnavailable"),
    (asyncpg.UndefinedTableError("?"), "Unwritable"),
    (RuntimeError("a bug"), "Unwritable"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("error", "said"), STATEMENT_ERRORS, ids=lambda e: type(e).__name__)
async def test_no_failure_of_a_statement_ends_the_writer(
    store: DatabasePool, database: str, error: Exception, said: str, after: bool
) -> None:
    errors, chat = [error], Chat()

    async def connect() -> Connection:
        return cast(Any, Failing(await asyncpg.connect(database), errors, after=after))

    async with running(connect) as journal:
        assert await outcome(journal, chat.entry(1)) == said
        assert await outcome(journal, chat.entry(2)) == "written"

    expected = [1, 2] if after or said == "written" else [2]
    assert await seqs(store, chat) == expected


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a bug"), asyncpg.DiskFullError("full")],
    ids=lambda error: type(error).__name__,
)
async def test_what_may_have_been_written_before_is_not_said_to_be_unwritten(
    store: DatabasePool, database: str, error: Exception
) -> None:
    """The answer to the first try was lost, the second fails before anything is done."""
    tries: list[tuple[Exception, bool]] = [(ConnectionResetError(), True), (error, False)]
    doubted: list[frozenset[tuple[int, int]]] = []
    chat = Chat()

    async def connect() -> Connection:
        connection = await asyncpg.connect(database)
        if not tries:
            return connection
        failure, after = tries.pop(0)
        return cast(Any, Failing(connection, [failure], after=after))

    async with running(connect, on_doubt=doubted.append) as journal:
        assert await outcome(journal, chat.entry(1)) == "StoreUnavailable"

    assert await seqs(store, chat) == [1]
    assert doubted == [frozenset({(chat.slot, chat.epoch)})]
