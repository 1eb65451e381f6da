"""The page's own rules (feed.ts) make the same list of what it hears as a newcomer is given."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.server import QueueSnapshot
from tests.dispatch.board import MODE, STEP, Stage
from tests.fakes.shop import Shop, play

WEB = Path(__file__).resolve().parents[2] / "kefu" / "web"
VITEST = WEB / "node_modules" / ".bin" / "vitest"
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not VITEST.exists(), reason="no Node, or no `make web` yet"
)
WITHIN_S = 50


def played() -> list[dict[str, Any]]:
    """The frames of two workbenches, and what a newcomer gets at the end: the same in every run."""
    plays: list[dict[str, Any]] = []

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(mode=MODE, steps=st.lists(STEP, min_size=10, max_size=40), seed=st.integers(0, 2**32))
    def record(mode: Any, steps: list[Any], seed: int) -> None:
        async def scene(shop: Shop) -> None:
            shop.mode = mode
            stage = Stage(shop)
            await stage.open()
            for step in steps:
                await stage.perform(step)
                await stage.check()
            await stage.fickle.subscribe()
            newcomer = await stage.check()
            fresh = next(frame for frame in newcomer if isinstance(frame, QueueSnapshot))
            plays.extend(
                {"frames": watcher.said, "fresh": fresh.payload}
                for watcher in (stage.steady, stage.fickle)
            )

        play(scene, seed)

    record()
    return plays


def test_what_the_page_hears_makes_the_list_that_a_newcomer_is_given(tmp_path: Path) -> None:
    file = tmp_path / "played.json"
    file.write_bytes(msgspec.json.encode(played()))
    told = subprocess.run(
        [VITEST, "run", "--reporter", "json", "src/workbench/feed.played.test.ts"],
        cwd=WEB,
        env={**os.environ, "KEFU_PLAYED": str(file)},
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
    )
    report = msgspec.json.decode(told.stdout)
    assert told.returncode == 0, told.stdout.decode()[-3000:]
    assert report["numPassedTests"] == 1
