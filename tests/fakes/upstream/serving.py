"""The upstream on a real port: in the test's own loop, or for ever on the command line."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """uvicorn that leaves the signals to the test and ends at once."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
        super().__init__(config)
        self.is_up = anyio.Event()
        self.is_asked = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    async def main_loop(self) -> None:
        await self.is_asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The address; everything is closed at the end."""
    log = logging.getLogger("uvicorn.error")
    level = log.level
    # named TCP, or asyncio does not switch Nagle's algorithm off: 40 ms for every answer
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = _Server(app)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server._serve, [listener])
            await server.is_up.wait()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.is_asked.set()
    finally:
        listener.close()
        log.setLevel(level)
