"""Where commands write: answers to standard output, progress and complaints to standard error.

What draws tables is loaded with the first one: most of what is written are lines.
"""

# ruff: noqa: PLC0415
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WIDTH_IN_A_PIPE = 160


def say(line: str) -> None:
    """One line of the answer."""
    sys.stdout.write(f"{line}\n")


def tell_progress(line: str) -> None:
    """One line about what is being waited for."""
    sys.stderr.write(f"kefu: {line}\n")
    sys.stderr.flush()


def show(table: "Table") -> None:
    """A table, as wide as the terminal; nothing is cut off in a pipe."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_PIPE).print(table)


def table(*headings: str) -> "Table":
    """An empty table whose long cells fold."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made
