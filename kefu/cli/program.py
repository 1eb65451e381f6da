"""The commands, put together, and what a failure of any of them looks like.

A failure that a person can mend is one line on standard error and exit code 1. So is a bug, with
a pointer to `--debug`, which shows the trace.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from kefu import __version__, logs
from kefu.errors import KefuError, Problem
from kefu.storage.errors import EmbeddedError, MigrationError, StoreUnavailable

FOR_PEOPLE = (KefuError, Problem, EmbeddedError, MigrationError, StoreUnavailable)
COMMANDS: Final = {
    "serve": "kefu.cli.serve:serve",
    "doctor": "kefu.cli.doctor:doctor",
    "drain": "kefu.cli.drain:drain",
    "agent": "kefu.cli.accounts:agent",
    "token": "kefu.cli.accounts:token",
    "audit": "kefu.cli.audit:audit",
    "db": "kefu.cli.database:db",
    "config": "kefu.cli.config:config",
}


class Commands(TyperGroup):
    """Each is loaded when it is asked for: all of them together are half of kefu."""

    def list_commands(self, _context: object) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: object, name: str) -> Any:
        wanted = COMMANDS if name not in COMMANDS else (name,)  # of a wrong one all are suggested
        for each in wanted:
            if each not in self.commands:
                self.add_command(_loaded(each), each)
        return self.commands.get(name)


def _loaded(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        found.info.name = name
        return get_group(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return get_command(alone)


program = typer.Typer(
    cls=Commands, no_args_is_help=True, help="kefu (客服): customer service for online shops."
)


@program.callback()
def everything(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of a failure.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"kefu {__version__}\n")
        raise typer.Exit
    logs.configure(level="debug" if debug else "warning", style="text", stream=sys.stderr)


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
        from rich.console import Console  # noqa: PLC0415  # rarely wanted, and slow to load

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
