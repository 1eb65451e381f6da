"""A network between a client and a server that a test can cut, silence or break off.

It listens on 127.0.0.1 and leads to a TCP port or a unix socket.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit, urlunsplit

import anyio

CHUNK = 65536


class Proxy:
    """`is_refusing`: nobody gets through. `is_silent`: nothing passes and nothing is closed.

    `lose_question`, `lose_answer`: once, the next chunk in that direction is swallowed and every
    connection cut. `cut_after`: the same once, after so many more chunks either way.
    `silent_after`: once, it is silent behind so many more.
    """

    def __init__(self, *upstream: str | int) -> None:
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._loud = asyncio.Event()
        self._loud.set()
        self.port = 0
        self.opened_count = 0
        self.is_refusing = False
        self.lose_question = False
        self.lose_answer = False
        self.cut_after: int | None = None
        self.silent_after: int | None = None

    @property
    def is_silent(self) -> bool:
        return not self._loud.is_set()

    @is_silent.setter
    def is_silent(self, value: bool) -> None:
        if value:
            self._loud.clear()
        else:
            self._loud.set()

    @property
    def open_count(self) -> int:
        """Connections through it, two ends each."""
        return len(self._writers)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def end(self) -> None:
        """Cut every connection, and return when nothing of any is left."""
        self.is_silent = False
        self.cut()
        while self._serving:
            await asyncio.wait(self._serving)
        await asyncio.sleep(0)  # what was aborted is closed by the loop

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            await self._serve(client, back)
        finally:
            back.transport.abort()

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.opened_count += 1
        if self.is_refusing:
            return
        try:
            server, forth = await self._connect()
        except OSError:  # nobody is there
            return
        self._writers |= {back, forth}
        try:
            async with anyio.create_task_group() as pumps:
                pumps.create_task(self._pump(client, forth, is_question=True))
                pumps.create_task(self._pump(server, back, is_question=False))
        finally:
            self._writers -= {back, forth}
            forth.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if len(self._upstream) == 1:
            return await asyncio.open_unix_connection(str(self._upstream[0]))
        return await asyncio.open_connection(str(self._upstream[0]), int(self._upstream[1]))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_question: bool
    ) -> None:
        try:
            while chunk := await reader.read(CHUNK):
                await self._loud.wait()
                if self._is_lost(is_question):
                    self.cut()
                    return
                self._count()
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def _count(self) -> None:
        """One more chunk passes; it may be the last for a while."""
        if self.silent_after is not None:
            self.silent_after -= 1
            if self.silent_after == 0:
                self.silent_after, self.is_silent = None, True

    def _is_lost(self, is_question: bool) -> bool:
        if is_question and self.lose_question:
            self.lose_question = False
            return True
        if not is_question and self.lose_answer:
            self.lose_answer = False
            return True
        if self.cut_after is not None:
            if self.cut_after == 0:
                self.cut_after = None
                return True
            self.cut_after -= 1
        return False


@asynccontextmanager
async def proxy_to(*upstream: str | int) -> AsyncIterator[Proxy]:
    """A proxy to (host, port) or to (unix socket path,)."""
    proxy = Proxy(*upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
        await server.wait_closed()


@asynccontextmanager
async def proxied_database(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy to the PostgreSQL of `url`, which may be on a unix socket, and the URL through it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host, port = query.get("host", [parts.hostname or ""])[0], parts.port or 5432
    port = int(query.get("port", [port])[0])
    upstream = (f"{host}/.s.PGSQL.{port}",) if host.startswith("/") else (host, port)
    async with proxy_to(*upstream) as proxy:
        user = f"{parts.username}:{parts.password}@" if parts.password else f"{parts.username}@"
        through = parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}", query="")
        yield proxy, urlunsplit(through)
