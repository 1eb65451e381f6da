"""The web server: uvicorn with kefu's limits, told to stop by a signal, exiting without noise."""

import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
import uvicorn
from starlette.applications import Starlette

from kefu.errors import KefuError
from kefu.gateway.direct_socket import DirectSocket
from kefu.gateway.wire import is_news
from protocol.limits import FRAME_BYTES

HEARTBEAT_S: Final = 30.0
BACKLOG: Final = 2048
GC_THRESHOLD: Final = 10_000  # frames are short-lived and rarely in cycles: look less often


def bind(host: str, port: int) -> socket.socket:
    """Take the port before anything is started. Raises KefuError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # who is accepted inherits it: finds dead streams
        unheard_ms = int(HEARTBEAT_S * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unheard_ms)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise KefuError(
            f"Port {port} on {host} cannot be used ({error.strerror}); choose another with --port."
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


async def run(
    app: Starlette,
    listener: socket.socket,
    *,
    trusted_proxies: Sequence[str],
    stop_within_s: float,
    on_ready: Callable[[str], Awaitable[None]],
    on_stop: Callable[[], Awaitable[None]],
) -> None:
    """Serve until SIGINT or SIGTERM, and first of all `on_stop`; a second one waits for nobody."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws=DirectSocket,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=HEARTBEAT_S,
        ws_ping_timeout=HEARTBEAT_S,
        timeout_graceful_shutdown=int(stop_within_s),
        forwarded_allow_ips=list(trusted_proxies),
    )
    logging.getLogger("uvicorn.error").addFilter(is_news)
    gc.freeze()  # what was made to start with stays; the collector need not look at it again
    gc.set_threshold(GC_THRESHOLD)
    server = _Server(config, on_ready=lambda: on_ready(url_of(listener)))
    async with _stopped_by_signals(server, on_stop, stop_within_s):
        await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, but the signals are ours: it would raise them again in the middle of our end."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._on_ready()


@asynccontextmanager
async def _stopped_by_signals(
    server: _Server, on_stop: Callable[[], Awaitable[None]], within_s: float
) -> AsyncIterator[None]:
    async def stop() -> None:
        began = anyio.current_time()
        with anyio.move_on_after(within_s):
            await on_stop()
        left_s = began + within_s - anyio.current_time()
        server.config.timeout_graceful_shutdown = max(1, int(left_s))
        server.should_exit = True

    async def watch() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await anext(signals)
            tasks.start_soon(stop)
            async for _signal in signals:
                server.should_exit = server.force_exit = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield
        tasks.cancel_scope.cancel()
