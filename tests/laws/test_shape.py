"""How large a file may be, what it may be called, and which folders explain themselves."""

import re

import pytest

from tests.laws.sources import ROOT, python, tracked

MAX_LINES = 400
WRITTEN_BY_HAND = (".py", ".ts", ".vue", ".sql", ".css", ".mjs", ".sh")
GENERATED = {"kefu/web/src/shared/protocol.ts"}
EMPTY_NAMES = {
    *("util", "utils", "helper", "helpers", "common", "manager", "managers", "service"),
    *("services", "handler", "handlers", "base", "data", "info", "misc"),
}


def test_no_file_is_longer_than_one_sitting() -> None:
    too_long = [
        f"{path}: {count}"
        for path in tracked()
        if path.endswith(WRITTEN_BY_HAND) and path not in GENERATED
        if (count := len((ROOT / path).read_text(encoding="utf-8").splitlines())) > MAX_LINES
    ]
    assert too_long == []


def test_every_file_is_named_after_something() -> None:
    empty = [
        path
        for path in tracked()
        if path.endswith(WRITTEN_BY_HAND)
        if EMPTY_NAMES & set(re.split(r"[_.-]", path.rsplit("/")[-1].lower()))
    ]
    assert empty == []


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for path in python("kefu", "actors", "protocol", "tests", "bench"):
        text = (ROOT / path).read_text(encoding="utf-8")
        if text.strip() and not text.lstrip("#!/usrbinevpyto3 \n").startswith(('"""', 'r"""')):
            silent.append(path)
    assert silent == []


@pytest.mark.parametrize("folder", ["actors", "protocol", "kefu", "tests", "bench", "deploy"])
def test_every_top_folder_has_a_readme(folder: str) -> None:
    assert (ROOT / folder / "README.md").is_file()
