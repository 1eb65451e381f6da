"""The files settings are read from: `NAME=value` lines, and TOML.

Only their shape is judged here; which names mean something is `names.py`'s to say.
"""

import tomllib
from pathlib import Path
from typing import Any

from kefu.errors import KefuError

MAX_FILE_BYTES = 65_536


class SettingsError(KefuError):
    """A setting is unknown, out of bounds or contradicted; the text says which and why."""


def read_env(file: Path) -> dict[str, str]:
    """The variables of an env file: comments, `export` and quotes as shells write them."""
    return _parse_env(_read(file), file)


def read_toml(file: Path) -> dict[str, Any]:
    """The table of a TOML file."""
    return _parse_toml(_read(file), file)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise SettingsError(f"{file} is larger than {MAX_FILE_BYTES} bytes.")
        return content.decode()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text.") from error


def _parse_toml(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}.") from error


def _parse_env(text: str, file: Path) -> dict[str, str]:
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = stripped.removeprefix("export ").partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"{file} line {number} is not NAME=value.")
        variables[key.strip()] = _unquote(value.strip())
    return variables


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()
