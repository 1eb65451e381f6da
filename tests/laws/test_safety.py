"""What never stands in the source: SQL in odd places, leaky comparisons, traces of a machine."""

import ast
import re
from collections.abc import Iterator

from tests.laws.sources import ROOT, parsed, python, strings, tracked

SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE)\s")
SECRET = re.compile(r"(^|_)(token|secret|digest|signature|password|hash)$", re.IGNORECASE)
QUERIES = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "cursor"}
MACHINE = re.compile(r"/(work|root|home)/[a-z.]")
REGISTRY = re.compile(r"\"resolved\"\s*:|https?://[^ \"]*(pypi|npmjs|npmmirror|registry)[^ \"]*")


def test_sql_stands_in_stores_and_storage_alone() -> None:
    elsewhere = [
        f"{path}:{text.lineno}"
        for path in python("kefu", "actors", "protocol")
        if not path.endswith("/store.py") and not path.startswith("kefu/storage/")
        for text in strings(path)
        if SQL.search(str(text.value))
    ]
    assert elsewhere == []


def test_no_query_is_put_together_from_pieces() -> None:
    built = [
        f"{path}:{node.lineno}"
        for path in python("kefu")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in QUERIES
        and node.args
        and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
    ]
    assert built == []


def leaky_comparisons(path: str) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            for side in (node.left, *node.comparators):
                name = getattr(side, "attr", getattr(side, "id", ""))
                if SECRET.search(name):
                    yield f"{path}:{node.lineno} compares {name}"


def test_secrets_are_compared_in_constant_time() -> None:
    packages = python("kefu", "actors", "protocol")
    assert [line for path in packages for line in leaky_comparisons(path)] == []


def test_no_tracked_file_remembers_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        try:
            lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path}:{number}"
            for number, line in enumerate(lines, start=1)
            if MACHINE.search(line) or REGISTRY.search(line)
        ]
    assert found == []
