"""Files that people bring: CSV with a line of names, or JSON, read into rows of named fields.

CSV is UTF-8 unless the content type names a charset: spreadsheets in China write GBK, in Taiwan
Big5, and guessing between them turns words into rubbish that looks like Chinese.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from kefu.errors import Problem
from protocol.codes import ErrorCode

TRUTH: Final = {
    **dict.fromkeys(("true", "yes", "1", "是"), True),
    **dict.fromkeys(("false", "no", "0", "否"), False),
}
_CHARSETS: Final = frozenset(("utf-8", "gbk", "gb2312", "gb18030", "big5", "utf-16"))


class Shape(Struct, frozen=True):
    """What a table holds.

    `columns` maps whatever a column may be called to its field. `read_cells` makes fields of a
    CSV row's cells, which are texts; the empty ones are left out, so that defaults count.
    `list_name` is what a JSON object may call the list.
    """

    list_name: str
    columns: Mapping[str, str]
    required: frozenset[str]
    row_limit: int
    read_cells: Callable[[dict[str, str]], dict[str, Any]]

    @property
    def fields(self) -> list[str]:
        return list(dict.fromkeys(self.columns.values()))


def read_table(body: bytes, content_type: str, shape: Shape) -> Iterator[tuple[int, Any]]:
    """Each row with its line. What a row holds is for the caller to judge.

    Raises `Problem`: INVALID_MESSAGE for what cannot be read as a whole, TOO_LARGE for more rows
    than there may be.
    """
    kind, charset = _kind(content_type)
    if kind == "text/csv":
        return _csv_rows(_text(body, charset), shape)
    if kind == "application/json":
        return _json_rows(body, shape)
    raise Problem(ErrorCode.INVALID_MESSAGE, "Send text/csv or application/json.")


def _kind(content_type: str) -> tuple[str, str]:
    kind, _, parameters = content_type.lower().partition(";")
    found = re.search(r"charset=\"?([a-z0-9-]+)", parameters)
    return kind.strip(), found[1] if found else "utf-8"


def _text(body: bytes, charset: str) -> str:
    if charset not in _CHARSETS:
        raise Problem(ErrorCode.INVALID_MESSAGE, f"The charset is one of {sorted(_CHARSETS)}.")
    body = body.removeprefix(codecs.BOM_UTF8) if charset == "utf-8" else body
    try:
        return body.decode("gb18030" if charset in ("gbk", "gb2312") else charset)
    except UnicodeDecodeError:
        wrong = f"The file is not {charset}. Name its charset, as in text/csv; charset=gbk."
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong) from None


def _json_rows(body: bytes, shape: Shape) -> Iterator[tuple[int, Any]]:
    name = shape.list_name
    try:
        whole = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body is not valid JSON.") from None
    rows = whole.get(name) if isinstance(whole, dict) else whole
    if not isinstance(rows, list):
        raise Problem(ErrorCode.INVALID_MESSAGE, f"Send a list of {name}, or one as `{name}`.")
    _require_few(len(rows), shape)
    yield from enumerate(rows, start=1)


def _csv_rows(text: str, shape: Shape) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    count = blank_count = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                blank_count += 1
                _require_few(blank_count, shape)
                continue
            if not names:
                names = _names(cells, shape)
                continue
            count += 1
            _require_few(count, shape)
            named = zip(names, map(str.strip, cells), strict=False)
            yield reader.line_num, shape.read_cells({name: cell for name, cell in named if cell})
    except csv.Error as error:
        wrong = f"Line {reader.line_num} is not CSV: {error}."
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong) from None
    if not names:
        raise Problem(ErrorCode.INVALID_MESSAGE, "The file has no line with the columns' names.")


def _require_few(count: int, shape: Shape) -> None:
    if count > shape.row_limit:
        raise Problem(ErrorCode.TOO_LARGE, f"An import takes {shape.row_limit} rows.")


def _names(cells: list[str], shape: Shape) -> list[str]:
    names = [shape.columns.get(cell.strip().lower(), "") for cell in cells]
    if "" in names or len(set(names)) < len(names) or not shape.required <= set(names):
        wrong = f"The first line names the columns, each once: {', '.join(shape.fields)}."
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong)
    return names
