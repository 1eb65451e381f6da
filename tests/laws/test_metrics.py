"""Every metric has a row in docs/metrics.md, and every row a metric."""

import ast
import re
from collections.abc import Iterator

from tests.laws.sources import ROOT, parsed, python

MAKERS = {"Reading", "Gauge", "Counter", "Histogram"}
ROW = re.compile(r"^\| `(kefu_\w+)` \|", re.MULTILINE)


def registered() -> Iterator[str]:
    """Each name as Prometheus shows it."""
    for path in python("kefu"):
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in MAKERS and node.args and isinstance(node.args[0], ast.Constant):
                is_counter = node.func.id == "Counter"
                yield f"{node.args[0].value}{'_total' if is_counter else ''}"


def test_every_metric_is_documented_and_every_row_is_a_metric() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = ROW.findall(page)

    assert sorted(rows) == sorted(set(registered()))


def test_names_follow_the_conventions_of_prometheus() -> None:
    names = set(registered())
    assert {name for name in names if not re.fullmatch(r"kefu_[a-z][a-z_]*[a-z]", name)} == set()
    assert {name for name in names if name.endswith(("_ms", "_s", "_count", "_sum"))} == set()
