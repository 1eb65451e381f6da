"""Files of entries, read into entries: CSV with a line of names, or JSON.

A row that is wrong is a problem with its line and does not stop the others. CSV is UTF-8 unless the
content type names a charset: spreadsheets in China write GBK, in Taiwan Big5, and guessing between
them turns answers into rubbish that looks like Chinese.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from kefu.errors import Problem
from protocol.codes import ErrorCode
from protocol.knowledge import IMPORT_ROWS, ImportProblem, NewEntry

_COLUMNS: Final = {
    **{name: name for name in NewEntry.__struct_fields__},
    **{"问题": "question", "問題": "question", "答案": "answer", "标签": "tags", "標籤": "tags"},
    **{"其他问法": "phrasings", "其他問法": "phrasings", "语言": "locale", "語言": "locale"},
    **{"启用": "enabled", "啟用": "enabled", "编号": "key", "編號": "key"},
}
_SEVERAL: Final = {"phrasings": re.compile(r"[|\n]"), "tags": re.compile(r"[|\n,;，；、]")}
_TRUTH: Final = {
    **dict.fromkeys(("true", "yes", "1", "是"), True),
    **dict.fromkeys(("false", "no", "0", "否"), False),
}
_CHARSETS: Final = frozenset(("utf-8", "gbk", "gb2312", "gb18030", "big5", "utf-16"))


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
    kind, charset = _kind(content_type)
    if kind == "text/csv":
        found = _csv_rows(_text(body, charset))
    elif kind == "application/json":
        found = _json_rows(body)
    else:
        raise Problem(ErrorCode.INVALID_MESSAGE, "Send text/csv or application/json.")
    rows, problems, first_lines = [], [], dict[tuple[object, ...], int]()
    for line, fields in found:
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


def _json_rows(body: bytes) -> Iterator[tuple[int, Any]]:
    try:
        whole = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body is not valid JSON.") from None
    entries = whole.get("entries") if isinstance(whole, dict) else whole
    if not isinstance(entries, list):
        raise Problem(ErrorCode.INVALID_MESSAGE, "Send a list of entries, or one as `entries`.")
    _require_few(len(entries))
    yield from enumerate(entries, start=1)


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    count = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = _names(cells)
                continue
            count += 1
            _require_few(count)
            yield reader.line_num, _fields(dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        wrong = f"Line {reader.line_num} is not CSV: {error}."
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong) from None
    if not names:
        raise Problem(ErrorCode.INVALID_MESSAGE, "The file has no line with the columns' names.")


def _require_few(count: int) -> None:
    if count > IMPORT_ROWS:
        raise Problem(ErrorCode.TOO_LARGE, f"An import takes {IMPORT_ROWS} rows.")


def _names(cells: list[str]) -> list[str]:
    names = [_COLUMNS.get(cell.strip().lower(), "") for cell in cells]
    if "" in names or len(set(names)) < len(names) or not {"question", "answer"} <= set(names):
        known = ", ".join(NewEntry.__struct_fields__)
        wrong = f"The first line names the columns, each once: {known}."
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong)
    return names


def _fields(cells: Mapping[str, str]) -> dict[str, Any]:
    """Empty cells are left out, so that the defaults count."""
    fields: dict[str, Any] = {name: cell.strip() for name, cell in cells.items() if cell.strip()}
    for name, separator in _SEVERAL.items():
        if name in fields:
            fields[name] = [part.strip() for part in separator.split(fields[name]) if part.strip()]
    if "enabled" in fields:
        fields["enabled"] = _TRUTH.get(fields["enabled"].lower(), fields["enabled"])
    return fields
