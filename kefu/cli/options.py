"""The options that every command takes in the same way, and the settings they lead to."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kefu.settings import Explanation, Settings, explain, load

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the bundled stores live.", show_default=".kefu"),
]
EnvFile = Annotated[
    Path | None, typer.Option("--env-file", help="A file of KEFU_NAME=value lines.")
]


def settings_from(data_dir: Path | None, env_file: Path | None, **overrides: object) -> Settings:
    """What this process runs with. Raises SettingsError."""
    return load(**_sources(data_dir, env_file, overrides))


def explained_from(data_dir: Path | None, env_file: Path | None) -> Explanation:
    """The same, with every source and every error. Raises SettingsError for unreadable files."""
    return explain(**_sources(data_dir, env_file, {}))


def _sources(
    data_dir: Path | None, env_file: Path | None, overrides: Mapping[str, object]
) -> dict[str, Any]:
    toml_file = Path("kefu.toml")
    return {
        "environ": os.environ,
        "env_file": env_file,
        "toml_file": toml_file if toml_file.exists() else None,
        "overrides": {"data_dir": data_dir, **overrides},
    }
