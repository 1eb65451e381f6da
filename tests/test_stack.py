"""Sessions of tests that run at once leave each other's directories alone."""

import os
from pathlib import Path

from tests.stack import SWEPT_AFTER_S, is_abandoned, short_directory


def old(directory: Path) -> Path:
    then = directory.stat().st_mtime - 2 * SWEPT_AFTER_S
    os.utime(directory, (then, then))
    return directory


def test_an_old_directory_is_abandoned_once_nobody_holds_its_lock(tmp_path: Path) -> None:
    with short_directory() as directory:
        assert not is_abandoned(old(directory))
    (tmp_path / "session.lock").touch()
    assert is_abandoned(old(tmp_path))


def test_a_new_directory_is_not_abandoned(tmp_path: Path) -> None:
    assert not is_abandoned(tmp_path)
