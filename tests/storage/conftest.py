"""A data directory of this test's own, short and outside any private directory, always removed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kefu.storage.places import SHARED, home_of
from tests.stack import short_directory
from tests.storage.kefu_process import KefuProcess, all_gone, guard_of, kill, servers_of, until


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory anybody may pass through, to make data directories in."""
    with short_directory() as directory:
        yield directory


@pytest.fixture
def data(place: Path) -> Iterator[Path]:
    """A data directory not yet made. Whatever still serves it when the test ends is ended."""
    path = place / "data"
    yield path
    end_all(path)


@pytest.fixture(scope="session")
def stopped_stack() -> Iterator[Path]:
    """A data directory whose servers were started once and stopped."""
    with short_directory() as directory:
        with KefuProcess(directory / "data") as kefu:
            kefu.hear("ready")
            kefu.leave()
        yield directory / "data"


@pytest.fixture
def made(stopped_stack: Path, data: Path) -> Path:
    """`data` with a database in it: what a first start would have made, only sooner."""
    subprocess.run(["cp", "-a", stopped_stack, data], check=True, timeout=30)
    return data


def end_all(data: Path) -> None:
    if not data.exists() or not (home_of(data) / "guard.lock").exists():
        return
    if not all_gone(data):
        kill(guard_of(data), *servers_of(data))
        until(lambda: all_gone(data), within_s=10)
    if home_of(data).is_relative_to(SHARED):
        shutil.rmtree(home_of(data))


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it changes users")
