"""Commands and scripts of Redis that are asked for at the same moment, in one round trip.

A call by itself costs the client five times what it costs as one of many: a connection is taken and
given back, a deadline set, an answer waited for. The first call goes at once; those that come while
it is on its way go together as soon as it is back.

Within one round trip nothing is promised about the order, and others come between. What takes Redis
long holds up whoever shares the round trip: each feature has calls of its own.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import sha1
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError

WAITING: Final = 10_000
AT_ONCE: Final = 250


class Script:
    """Lua that Redis keeps by its hash."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


class _Call:
    __slots__ = ("answer", "script", "words")

    def __init__(self, words: tuple[Any, ...], script: Script | None) -> None:
        self.words = words
        self.script = script
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class RedisCalls:
    """Sets no deadline but the client's; whoever gives up before theirs has come is left out."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._waiting: deque[_Call] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def command(self, *words: Any) -> Any:
        """One command's answer. Raises RedisError: what Redis says, or that nobody knows whether it
        happened; also when too many wait."""
        return await self._add(_Call(words, None))

    async def run(self, script: Script, keys: Sequence[Any], args: Iterable[Any]) -> Any:
        """A script's answer, as `command`."""
        return await self.begin(script, keys, args)

    def begin(
        self, script: Script, keys: Sequence[Any], args: Iterable[Any]
    ) -> "asyncio.Future[Any]":
        """Send it on its way now; the answer is awaited later, as `run`, and must be."""
        return self._add(_Call(("EVALSHA", script.sha, len(keys), *keys, *args), script))

    def _add(self, call: _Call) -> "asyncio.Future[Any]":
        if len(self._waiting) >= WAITING:
            call.answer.set_exception(RedisError("Too many calls wait for Redis."))
            return call.answer
        self._waiting.append(call)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())
        return call.answer

    async def _send(self) -> None:
        """Until none waits."""
        try:
            while self._waiting:
                await self._send_some(self._take())
        finally:
            self._sending = None

    def _take(self) -> list[_Call]:
        some: list[_Call] = []
        while self._waiting and len(some) < AT_ONCE:
            call = self._waiting.popleft()
            if not call.answer.done():  # whoever gave up wants nothing done
                some.append(call)
        return some

    async def _send_some(self, calls: list[_Call]) -> None:
        try:
            found = await self._answers(calls)
        except BaseException as error:
            for call in calls:
                _finish(call, RedisError(f"{type(error).__name__}: {error}"))
            if not isinstance(error, RedisError | OSError | TimeoutError):
                raise
            return
        for call, answer in zip(calls, found, strict=True):
            _finish(call, answer)

    async def _answers(self, calls: Sequence[_Call]) -> list[Any]:
        """Of each its answer, or what Redis has against it."""
        found = await self._asked(calls)
        unknown = {
            place: call.script
            for place, (call, answer) in enumerate(zip(calls, found, strict=True))
            if call.script is not None and isinstance(answer, NoScriptError)
        }
        if unknown:  # Redis has started anew
            await self._teach(set(unknown.values()))
            again = await self._asked([calls[place] for place in unknown])
            for place, answer in zip(unknown, again, strict=True):
                found[place] = answer
        return found

    async def _asked(self, calls: Sequence[_Call]) -> list[Any]:
        return await self._trip([call.words for call in calls])

    async def _teach(self, scripts: Iterable[Script]) -> None:
        for answer in await self._trip([("SCRIPT LOAD", script.text) for script in scripts]):
            if isinstance(answer, RedisError):
                raise answer

    async def _trip(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """By the connection itself: a pipeline of redis-py takes half as long again."""
        pool: Any = self._redis.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await _answer_of(connection) for _ in commands]
        finally:  # broken off in between it has hung up: nobody reads another's answers
            await pool.release(connection)


async def _answer_of(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _finish(call: _Call, answer: Any) -> None:
    if call.answer.done():
        return
    if isinstance(answer, Exception):
        call.answer.set_exception(answer)
    else:
        call.answer.set_result(answer)
