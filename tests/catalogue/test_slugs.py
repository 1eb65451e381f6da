"""Names as they stand in addresses."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.catalogue.slugs import slug_of, spelt


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("測試分類", "ce-shi-fen-lei"),
        ("户外 Outdoor 4P", "hu-wai-outdoor-4p"),
        ("绿色", "lv-se"),
        ("Café & Thé", "cafe-the"),
        ("ＡＢＣ１２", "abc12"),
        ("  -- A -- ", "a"),
        ("🏕️", ""),
        ("한국", ""),
    ],
)
async def test_a_name_is_spelt(name: str, slug: str) -> None:
    assert await slug_of(name) == slug


@given(st.text(max_size=100))
def test_any_name_is_spelt_so_that_it_can_stand_in_an_address(name: str) -> None:
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", spelt(name))


def test_starting_does_not_load_the_dictionaries() -> None:
    program = (
        "import sys, kefu.catalogue.routes, kefu.catalogue.cards, kefu.catalogue.import_routes;"
        "sys.exit(bool({'pypinyin', 'rjieba'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
