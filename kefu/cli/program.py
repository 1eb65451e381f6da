"""The commands, put together, and what a failure of any of them looks like.

A failure that a person can mend is one line on standard error and exit code 1. So is a bug, with
a pointer to `--debug`, which shows the trace.
"""

import os
import socket
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import anyio
import typer
from rich.console import Console
from typer.main import get_command

from kefu import __version__, logs
from kefu.cli import accounts, audit, config, database, doctor, drain
from kefu.cli.options import DataDir, EnvFile, settings_from
from kefu.errors import KefuError, Problem
from kefu.settings import Settings
from kefu.storage.errors import EmbeddedError, MigrationError, StoreUnavailable
from kefu.worker import Place, Worker
from kefu.workers import run as run_workers

FOR_PEOPLE = (KefuError, Problem, EmbeddedError, MigrationError, StoreUnavailable)

LogLevel = Literal["debug", "info", "warning", "error"]

program = typer.Typer(no_args_is_help=True, help="kefu (客服): customer service for online shops.")
program.add_typer(accounts.agent, name="agent")
program.add_typer(accounts.token, name="token")
program.add_typer(audit.audit, name="audit")
program.add_typer(database.db, name="db")
program.add_typer(config.config, name="config")
program.command()(doctor.doctor)
program.command()(drain.drain)


@program.callback()
def everything(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of a failure.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"kefu {__version__}\n")
        raise typer.Exit
    logs.configure(level="debug" if debug else "warning", style="text", stream=sys.stderr)


@program.command()
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
        raise typer.Exit(anyio.run(run_workers, settings, context.obj))
    from kefu.app import serve as serve_app  # noqa: PLC0415  # no other command needs the server

    worker = Worker(place, stop_within_s=settings.shutdown_timeout_s) if place else None
    anyio.run(serve_app, settings, worker, backend_options={"use_uvloop": sys.platform != "win32"})


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


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. Never raises for a failed command."""
    try:
        get_command(program)(list(arguments), prog_name="kefu", obj=tuple(arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # every failure ends here, in one line
        return _failed(_only(error), debug="--debug" in arguments)
    return 0


def _failed(error: BaseException, *, debug: bool) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    if debug:
        Console(stderr=True).print_exception()
    elif isinstance(error, FOR_PEOPLE):
        sys.stderr.write(f"kefu: {_sentence(error)}\n")
    else:
        at = _place(error)
        sys.stderr.write(
            f"kefu: unexpected {type(error).__name__}{at}; `kefu --debug ...` shows the trace.\n"
        )
    return 1


def _sentence(error: BaseException) -> str:
    text = error.message if isinstance(error, Problem) else str(error)
    fields = error.fields if isinstance(error, Problem) else {}
    return " ".join([text, *(f"{name}: {wrong}" for name, wrong in fields.items())])


def _only(error: BaseException) -> BaseException:
    """The one failure inside groups of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
