"""What is answered to a file that was taken in, whatever its rows are of."""

from typing import Final

from msgspec import Struct

IMPORT_PROBLEMS: Final = 100


class ImportProblem(Struct, frozen=True):
    """`line` is the line of a CSV file, or which entry of a JSON list; the first is 1."""

    line: int
    message: str


class ImportResult(Struct, frozen=True):
    """What an import did or, with `dry_run`, would do. Rows with a problem are left out. At most
    100 problems are named; `problem_count` counts all.
    """

    dry_run: bool
    rows: int
    created: int
    changed: int
    unchanged: int
    problem_count: int
    problems: tuple[ImportProblem, ...]


class ImportProgress(Struct, frozen=True):
    """`done` of `rows` are written, or found wrong."""

    done: int
    rows: int
