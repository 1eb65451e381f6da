"""Files of entries, read into entries (`kefu/tables.py` says of which kinds).

A row that is wrong is a problem with its line and does not stop the others.
"""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from kefu.tables import TRUTH, Shape, read_table
from protocol.imports import ImportProblem
from protocol.knowledge import IMPORT_ROWS, NewEntry

_COLUMNS: Final = {
    **{name: name for name in NewEntry.__struct_fields__},
    **{"问题": "question", "問題": "question", "答案": "answer", "标签": "tags", "標籤": "tags"},
    **{"其他问法": "phrasings", "其他問法": "phrasings", "语言": "locale", "語言": "locale"},
    **{"启用": "enabled", "啟用": "enabled", "编号": "key", "編號": "key"},
}
_SEVERAL: Final = {"phrasings": re.compile(r"[|\n]"), "tags": re.compile(r"[|\n,;，；、]")}


class Row(Struct, frozen=True):
    line: int
    entry: NewEntry


class Intake(Struct, frozen=True):
    """What a file holds: entries that are right, and what is wrong with the other rows."""

    rows: tuple[Row, ...]
    problems: tuple[ImportProblem, ...]


def read_file(body: bytes, content_type: str) -> Intake:
    """Raises `Problem(INVALID_MESSAGE)` for what cannot be read as a whole, and
    `Problem(TOO_LARGE)` for more rows than an import takes."""
    rows, problems, first_lines = [], [], dict[tuple[object, ...], int]()
    for line, fields in read_table(body, content_type, _SHAPE):
        try:
            entry = msgspec.convert(fields, NewEntry)
        except msgspec.ValidationError as error:
            problems.append(ImportProblem(line, str(error)[:300]))
            continue
        names = identities(entry)
        twice = min((first_lines[each] for each in names if each in first_lines), default=None)
        if twice is None:
            first_lines.update(dict.fromkeys(names, line))
            rows.append(Row(line, entry))
        else:
            problems.append(ImportProblem(line, f"The same question or key as line {twice}."))
    return Intake(tuple(rows), tuple(problems))


def identities(entry: Any) -> list[tuple[object, ...]]:
    """What no two entries share: the question and the key, in each language."""
    names: list[tuple[object, ...]] = [("question", entry.question.lower(), entry.locale)]
    return [*names, ("key", entry.key, entry.locale)] if entry.key else names


def _fields(cells: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = dict(cells)
    for name, separator in _SEVERAL.items():
        if name in cells:
            fields[name] = [part.strip() for part in separator.split(cells[name]) if part.strip()]
    if "enabled" in cells:
        fields["enabled"] = TRUTH.get(cells["enabled"].lower(), cells["enabled"])
    return fields


_SHAPE: Final = Shape(
    list_name="entries",
    columns=_COLUMNS,
    required=frozenset(("question", "answer")),
    row_limit=IMPORT_ROWS,
    read_cells=_fields,
)
