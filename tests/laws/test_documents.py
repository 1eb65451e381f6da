"""What is written about the program is true of the program."""

import re
from pathlib import Path

import pytest

from kefu import __version__
from kefu.cli.config import settings_page
from protocol.codes import CLOSE_REASONS, ERRORS, CloseCode, ErrorCode
from protocol.schema import typescript
from tests.laws.sources import ROOT, tracked

MAKE = re.compile(r"`make ([a-z]+)")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_settings_page_is_what_the_types_say() -> None:
    said = "docs/settings.md is old: run `.venv/bin/kefu config page > docs/settings.md`"
    assert read("docs/settings.md") == settings_page(), said


def test_every_error_code_is_documented_as_it_is_answered() -> None:
    page = read("docs/errors.md")
    rows = [f"| `{code}` | {each.http_status} | {each.sentence} |" for code, each in ERRORS.items()]
    assert [row for row in rows if row not in page] == []
    assert page.count("\n| `") == len(ERRORS) == len(ErrorCode)


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_is_documented(code: CloseCode) -> None:
    assert f"| {code.value} | {CLOSE_REASONS[code]} |" in read("docs/errors.md")


def test_the_web_speaks_the_types_of_the_protocol() -> None:
    assert read("kefu/web/src/shared/protocol.ts") == typescript(), "old: run `make types`"


def test_the_changelog_begins_with_this_version() -> None:
    top = re.search(r"^## (\d+\.\d+\.\d+), (\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.MULTILINE)
    assert top is not None
    assert top[1] == __version__


@pytest.mark.parametrize("page", [path for path in tracked() if path.endswith(".md")])
def test_every_local_link_leads_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    targets = [Path(target) for target in LINK.findall(read(page)) if "://" not in target]
    assert [str(target) for target in targets if not (folder / target).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md"])
def test_every_make_command_that_is_named_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    assert set(MAKE.findall(read(page))) <= targets


def test_both_readmes_have_the_same_sections() -> None:
    english, chinese = (read(page).count("\n## ") for page in ("README.md", "README.zh-CN.md"))
    assert english == chinese
