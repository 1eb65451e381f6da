"""PostgreSQL as its clients meet it: connections with asyncpg's shape over the tables' model.

A statement that is on its way belongs to the world: it may take effect after its sender gave up on
it, or died.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from typing import Any

import asyncpg

from tests.simulation.loop import Process
from tests.simulation.statements import STATEMENTS, WRITES
from tests.simulation.tables import Row, Tables
from tests.simulation.weather import Weather


class Postgres:
    """`on_written()` is called after each commit, before anybody hears of it."""

    def __init__(self, tables: Tables, weather: Weather) -> None:
        self.tables = tables
        self.weather = weather
        self.on_written: Callable[[], None] = lambda: None
        self._world: Context = copy_context()

    async def connect(self, process: Process) -> "Connection":
        """Raises OSError while it is down; waits for ever while it hangs."""
        takes_s = self.weather.connecting_s()
        if takes_s is None:
            await asyncio.get_running_loop().create_future()
        return Connection(self, process)

    def send(self, connection: "Connection", query: str, args: Any, timeout_s: float) -> Any:
        """The future of the rows."""
        loop = asyncio.get_running_loop()
        is_write = query in WRITES
        fate = self.weather.fate(is_write=is_write)
        reply: asyncio.Future[list[Row]] = loop.create_future()
        statement = _Statement(self, connection, query, args, reply, fate.error)
        effect_s, answer_s = fate.takes_effect_after_s, fate.answered_after_s
        if answer_s is not None and answer_s > timeout_s:
            loop.call_later(timeout_s, statement.time_out, context=self._world)
        elif answer_s is not None and (is_write or effect_s is None or fate.error is not None):
            loop.call_later(answer_s, statement.answer, context=self._world)
        if effect_s is not None:
            statement.is_answered_at_once = not is_write and fate.error is None
            loop.call_later(effect_s, statement.take_effect, context=self._world)
        return reply


class _Statement:
    """One on its way. `answer` comes after `take_effect`, where both come."""

    def __init__(
        self,
        postgres: Postgres,
        connection: "Connection",
        query: str,
        args: Any,
        reply: asyncio.Future[list[Row]],
        error: Exception | None,
    ) -> None:
        self.is_answered_at_once = False
        self._is_cancelled = False
        self._postgres = postgres
        self._connection = connection
        self._query = query
        self._args = args
        self._reply = reply
        self._error = error
        self._rows: list[Row] = []
        self._refusal: Exception | None = None

    def take_effect(self) -> None:
        postgres = self._postgres
        if self._is_cancelled:
            return
        if self._connection.process.is_dead and not postgres.weather.survives():
            return
        postgres.tables.writer = self._connection.process.name
        try:
            self._rows = STATEMENTS[self._query](postgres.tables, self._args)
        except asyncpg.PostgresError as error:
            self._refusal = error
        else:
            if self._query in WRITES:
                postgres.on_written()
        if self.is_answered_at_once:
            self.answer()

    def answer(self) -> None:
        if isinstance(self._error, asyncpg.PostgresConnectionError):
            self._connection.break_off()
        if self._reply.done() or self._connection.process.is_dead:
            return
        error = self._error or self._refusal
        if error is not None:
            self._reply.set_exception(error)
        else:
            self._reply.set_result(self._rows)

    def time_out(self) -> None:
        """The sender gives up, and says so to the database."""
        self._is_cancelled = not self._postgres.weather.is_late
        if not self._reply.done() and not self._connection.process.is_dead:
            self._reply.set_exception(TimeoutError())


class Connection:
    """As much of asyncpg.Connection as kefu uses while it runs."""

    def __init__(self, postgres: Postgres, process: Process) -> None:
        self.process = process
        self._postgres = postgres
        self._is_closed = False
        self._is_busy = False

    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> list[Row]:
        if self._is_closed:
            raise asyncpg.InterfaceError("connection is closed")
        if self._is_busy:
            raise asyncpg.InterfaceError("another operation is in progress")
        self._is_busy = True
        try:
            limit_s = 35.0 if timeout is None else timeout
            rows: list[Row] = await self._postgres.send(self, query, args, limit_s)
            return rows
        finally:
            self._is_busy = False

    async def fetchrow(self, query: str, *args: Any) -> Row | None:
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None

    async def fetchval(self, query: str, *args: Any) -> Any:
        row = await self.fetchrow(query, *args)
        return None if row is None else next(iter(row))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Each simulated transaction is one statement, which is whole by itself."""
        yield

    def is_closed(self) -> bool:
        return self._is_closed

    def break_off(self) -> None:
        self._is_closed = True

    def terminate(self) -> None:
        self._is_closed = True


class Pool:
    """As much of asyncpg.Pool: a connection for each block."""

    def __init__(self, postgres: Postgres, process: Process) -> None:
        self._postgres = postgres
        self._process = process

    @asynccontextmanager
    async def acquire(self, *, timeout: float) -> AsyncIterator[Connection]:
        async with asyncio.timeout(timeout):
            connection = await self._postgres.connect(self._process)
        yield connection
