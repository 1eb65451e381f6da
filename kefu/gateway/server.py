"""The web server: uvicorn with kefu's limits, told to stop by a signal, exiting without noise."""

import gc
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio
import uvicorn
from anyio.abc import TaskGroup
from starlette.applications import Starlette

from kefu.gateway.direct_socket import DirectSocket
from kefu.gateway.listeners import HEARTBEAT_S, url_of
from kefu.gateway.wire import is_news
from protocol.limits import FRAME_BYTES

GC_THRESHOLD: Final = 10_000  # frames are short-lived and rarely in cycles: look less often
SPOKEN_WITHIN_S: Final = 2.0
"""Who had connected before another took the seat has this long to say what for: they are let in,
and sent on with all the others, instead of being turned away."""


async def run(
    app: Starlette,
    listener: socket.socket,
    *,
    trusted_proxies: Sequence[str],
    stop_within_s: float,
    on_ready: Callable[[str], Awaitable[None]],
    on_stop: Callable[[], Awaitable[None]],
    asked_to_stop: Callable[[], Awaitable[object]] = anyio.sleep_forever,
    is_worker: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM, or until `asked_to_stop` returns; then first of all `on_stop`.

    A second signal waits for nobody. For a worker that is SIGQUIT, because a supervisor may tell
    both the parent and the worker to end; and SIGHUP says that another has taken its place.
    """
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
    stopping = _Stopping(server, on_stop, stop_within_s)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stopping.watch_signals, tasks, is_worker)
        tasks.start_soon(stopping.watch, tasks, asked_to_stop)
        await server.serve(sockets=[listener])
        tasks.cancel_scope.cancel()


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

    def stop_listening(self) -> None:
        """Leave who comes from now on to the others who share the socket."""
        for server in self.servers:
            server.close()


class _Stopping:
    """The way from being told to stop to stopping."""

    def __init__(
        self, server: _Server, on_stop: Callable[[], Awaitable[None]], within_s: float
    ) -> None:
        self._server = server
        self._on_stop = on_stop
        self._within_s = within_s
        self._has_begun = False

    async def watch_signals(self, tasks: TaskGroup, is_worker: bool) -> None:
        heard = [signal.SIGINT, signal.SIGTERM]
        if is_worker:
            heard += [signal.SIGHUP, signal.SIGQUIT]
        with anyio.open_signal_receiver(*heard) as signals:
            async for each in signals:
                if each == signal.SIGQUIT or (self._has_begun and not is_worker):
                    self._server.should_exit = self._server.force_exit = True
                    continue
                if each == signal.SIGHUP:
                    self._server.stop_listening()
                self._begin(tasks, after_s=SPOKEN_WITHIN_S if each == signal.SIGHUP else 0.0)

    async def watch(self, tasks: TaskGroup, asked_to_stop: Callable[[], Awaitable[object]]) -> None:
        await asked_to_stop()
        self._begin(tasks)

    def _begin(self, tasks: TaskGroup, *, after_s: float = 0.0) -> None:
        if not self._has_begun:
            self._has_begun = True
            tasks.start_soon(self._stop, after_s)

    async def _stop(self, after_s: float) -> None:
        await anyio.sleep(after_s)
        began = anyio.current_time()
        with anyio.move_on_after(self._within_s):
            await self._on_stop()
        left_s = began + self._within_s - anyio.current_time()
        self._server.config.timeout_graceful_shutdown = max(1, int(left_s))
        self._server.should_exit = True
