"""`kefu serve`: the server, or the parent of several."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import anyio
import typer

from kefu import logs
from kefu.cli.options import DataDir, EnvFile, settings_from
from kefu.cli.terminal import tell_progress
from kefu.errors import KefuError
from kefu.gateway import listeners
from kefu.settings import Settings
from kefu.stores import Stores, open_stores
from kefu.worker import Place, Worker

LogLevel = Literal["debug", "info", "warning", "error"]
Serve = Callable[[Settings, Stores, socket.socket, Worker | None], Awaitable[None]]


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
    demo: Annotated[bool | None, typer.Option("--demo", help="Load the demo shop.")] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="The least important lines.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve the port.")] = None,
    as_worker: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the server until it is told to stop (Ctrl-C, SIGTERM)."""
    chosen = {"host": host, "port": port, "demo": demo, "log_level": log_level, "workers": workers}
    settings = settings_from(data_dir, env_file, **chosen)
    place = Place.read(as_worker) if as_worker is not None else None
    _configure_logs(settings, place)
    if settings.workers > 1 and place is None:
        from kefu.workers import run  # noqa: PLC0415  # one process needs no parent

        raise typer.Exit(anyio.run(run, settings, context.obj))
    worker = Worker(place, stop_within_s=settings.shutdown_timeout_s) if place else None
    anyio.run(_serve, settings, worker, backend_options={"use_uvloop": sys.platform != "win32"})


async def _serve(settings: Settings, worker: Worker | None) -> None:
    """Run until told to stop. Raises KefuError and what the stores raise."""
    listener = worker.listener if worker else listeners.bind(settings.host, settings.port)
    try:
        # the bundled stores take as long to start as the rest of the program to be read
        reading = asyncio.ensure_future(asyncio.to_thread(_read_app))
        async with open_stores(settings, on_progress=tell_progress) as stores:
            serve_app = await reading
            await serve_app(settings, stores, listener, worker)
    finally:
        listener.close()


def _read_app() -> Serve:
    from kefu.app import serve as serve_app  # noqa: PLC0415  # see _serve

    return serve_app


def _configure_logs(settings: Settings, place: Place | None) -> None:
    """Workers write no common file: two cannot turn it over."""
    file = settings.log_file
    if file is not None and place is not None:
        file = file.with_stem(f"{file.stem}-{place.number}")
    try:
        logs.configure(
            level=settings.log_level,
            style=settings.log_format,
            file=file,
            instance=f"{socket.gethostname()}:{os.getpid()}",
        )
    except OSError as error:
        raise KefuError(f"KEFU_LOG_FILE cannot be opened: {error.strerror}.") from error
