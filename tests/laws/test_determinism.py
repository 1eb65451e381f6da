"""Time, ids and chance come from `kefu/clock.py` and `kefu/entropy.py` alone.

A simulation replays a run from its seed; one call around the ports and it no longer can.
"""

import ast
from collections.abc import Iterator

from tests.laws.sources import parsed, python

PORTS = {"kefu/clock.py", "kefu/entropy.py"}
# The guard of the bundled servers is a process of its own that no simulation holds.
GUARD = {
    f"kefu/storage/{name}.py" for name in ("binaries", "guard", "places", "processes", "servers")
}
FORBIDDEN = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "uuid": {"uuid1", "uuid4"},
    "os": {"urandom", "getrandom"},
}


def around_the_ports(path: str) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        at = f"{path}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names}
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module in ("random", "secrets") and names != {"Random"}:
                yield f"{at} imports {module}"
            if module is None and "secrets" in names:
                yield f"{at} imports secrets"
            if module in FORBIDDEN and names & FORBIDDEN[module]:
                yield f"{at} imports {names} from {module}"
        elif isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else None
            owner = node.value.id if isinstance(node.value, ast.Name) else owner
            if node.attr in FORBIDDEN.get(owner or "", ()):
                yield f"{at} uses {owner}.{node.attr}"
            if owner == "random" and isinstance(node.value, ast.Name) and node.attr != "Random":
                if path.startswith(("kefu/", "protocol/")):
                    yield f"{at} uses random.{node.attr}"


def test_nothing_goes_around_the_clock_and_the_entropy() -> None:
    found = [
        line
        for path in python("kefu", "protocol", "actors")
        if path not in PORTS | GUARD
        for line in around_the_ports(path)
    ]
    assert found == []


def test_the_law_sees_what_it_forbids() -> None:
    assert list(around_the_ports("kefu/clock.py"))
    assert list(around_the_ports("kefu/entropy.py"))


def sleeps(path: str) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        length = node.args[0]
        if name == "sleep" and isinstance(length, ast.Constant) and length.value:
            yield f"{path}:{node.lineno} sleeps {length.value} s"


def test_no_test_sleeps_a_while_and_hopes() -> None:
    """tests/until.py is the one place that looks again and again, with a deadline."""
    others = [path for path in python("tests") if path != "tests/until.py"]
    assert [line for path in others for line in sleeps(path)] == []
