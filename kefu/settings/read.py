"""Collects the values of settings and says where each came from.

A value comes from the command line, else the environment, else the env file, else kefu.toml,
else the default. A `KEFU_*` name that no setting has stops the start, because a misspelt limit
that is silently ignored is worse than no start. An empty value counts as not set.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from kefu.secret import SecretUrl
from kefu.settings.files import SettingsError, read_env, read_toml
from kefu.settings.names import ALIASES, FIELDS, NAMES_BY_GROUP, SERVER_NAMES, meaning, variable
from kefu.settings.rules import broken, contradictions
from kefu.settings.server import Settings
from kefu.settings.words import accepts, is_list


class Entry(Struct, frozen=True):
    """One setting as `kefu config check` shows it."""

    name: str
    value: object
    source: str
    meaning: str
    problem: str | None = None


class Explanation(Struct, frozen=True):
    """All settings with their sources; `settings` is there when nothing is wrong."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    settings: Settings | None


class _Found(Struct, frozen=True):
    value: object
    source: str
    written_as: str


def load(
    environ: Mapping[str, str],
    *,
    env_file: Path | None = None,
    toml_file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings to run with. Raises SettingsError with the first thing that is wrong."""
    found = explain(environ, env_file=env_file, toml_file=toml_file, overrides=overrides)
    if found.settings is None:
        more = len(found.problems) - 1
        hint = f" ({more} more: run `kefu config check`)" if more else ""
        raise SettingsError(found.problems[0] + hint)
    return found.settings


def explain(
    environ: Mapping[str, str],
    *,
    env_file: Path | None = None,
    toml_file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Explanation:
    """Where every setting comes from and what is wrong with it.

    Raises SettingsError only when a named file cannot be read at all.
    """
    found: dict[str, _Found] = {}
    problems: list[str] = []
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    _take_named(given, "the command line", found, problems)
    _take_variables(environ, "the environment", found, problems)
    if env_file is not None:
        _take_variables(read_env(env_file), str(env_file), found, problems)
    if toml_file is not None:
        _take_named(read_toml(toml_file), str(toml_file), found, problems)
    entries = tuple(_entry(name, found.get(name)) for name in FIELDS)
    wrong = [entry.problem for entry in entries if entry.problem]
    settings = None if wrong else _grouped({entry.name: entry.value for entry in entries})
    problems += wrong if settings is None else contradictions(settings)
    return Explanation(entries, tuple(problems), None if problems else settings)


def _grouped(values: Mapping[str, object]) -> Settings:
    groups = {
        group: {name: values[name] for name in names} for group, names in NAMES_BY_GROUP.items()
    }
    server = {name: values[name] for name in SERVER_NAMES}
    return msgspec.convert(server | groups, Settings, dec_hook=_make)


def _take_variables(
    variables: Mapping[str, str], source: str, found: dict[str, _Found], problems: list[str]
) -> None:
    here: dict[str, _Found] = {}
    for key, value in variables.items():
        name = key[5:].lower() if key.startswith("KEFU_") else ALIASES.get(key)
        if name is None or value == "":
            continue
        if name not in FIELDS or not (key in ALIASES or key == variable(name)):
            problems.append(f"{key} in {source} is no setting of kefu; {_nearest_variable(key)}")
            continue
        other = here.get(name)
        if other is not None and other.value != value:
            problems.append(f"{other.written_as} and {key} in {source} differ: keep one of them.")
        here[name] = _Found(value, source, key)
    for name, setting in here.items():
        found.setdefault(name, setting)


def _take_named(
    table: Mapping[str, object], source: str, found: dict[str, _Found], problems: list[str]
) -> None:
    for name, value in table.items():
        if name in FIELDS:
            found.setdefault(name, _Found(value, source, name))
        else:
            problems.append(f"{name} in {source} is no setting of kefu; {_nearest(name, FIELDS)}")


def _nearest_variable(key: str) -> str:
    return _nearest(key.upper(), [variable(name) for name in FIELDS])


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "`kefu config check` lists them."


def _entry(name: str, found: _Found | None) -> Entry:
    field = FIELDS[name]
    if found is None:
        return Entry(name, field.default, "default", meaning(name))
    try:
        value = _convert(found.value, field.type)
        wrong = broken(name, value)
    except msgspec.ValidationError:
        value, wrong = None, f"it takes {accepts(field.type)}"
    if wrong is None:
        return Entry(name, value, found.source, meaning(name))
    shown = "***" if _is_secret(field.type) else _shown(found.value)
    line = f"{found.written_as} in {found.source} is {shown}: {wrong}."
    return Entry(name, shown, found.source, meaning(name), line)


def _convert(value: object, kind: Any) -> object:
    if isinstance(value, str) and is_list(kind):
        parts = value.replace("，", ",").split(",")
        value = [part.strip() for part in parts if part.strip()]
    return msgspec.convert(value, kind, strict=not isinstance(value, str), dec_hook=_make)


def _make(kind: Any, value: object) -> object:
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise ValueError(f"Expected str, got {type(value).__name__}")
    return Path(value).expanduser() if issubclass(kind, Path) else kind(value)


def _shown(value: object) -> str:
    if isinstance(value, str) and "://" in value and "@" in value:
        return repr(SecretUrl(value))[:80]
    return repr(value)[:80]


def _is_secret(kind: Any) -> bool:
    return "Secret" in str(kind)
