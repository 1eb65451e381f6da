"""`kefu config`: every setting explained, here and on the page docs/settings.md."""

from collections.abc import Sequence

import typer

from kefu.cli.options import DataDir, EnvFile, explained_from
from kefu.cli.terminal import say, show, table
from kefu.settings import ALIASES, FIELDS, meaning, variable
from kefu.settings.names import NAMES_BY_GROUP, SERVER_NAMES
from kefu.settings.words import accepts

config = typer.Typer(no_args_is_help=True, help="The settings.")

PAGE_TOP = """# Settings

Written by `kefu config page`; edit the types in `kefu/settings/` instead of this page.

A value comes from the command line, else the environment (`KEFU_PORT=80`), else the file named by
`--env-file`, else `kefu.toml` in the working directory (`port = 80`), else the default. An empty
variable counts as not set. A `KEFU_*` name that is not below stops the start.
`kefu config check` shows what a machine would run with, and why.
"""

GROUP_TOP = """
## {heading}

| setting | takes | default | meaning |
| --- | --- | --- | --- |
"""


@config.command()
def check(data_dir: DataDir = None, env_file: EnvFile = None) -> None:
    """Show every setting, its value and source; exit code 1 when one is wrong."""
    found = explained_from(data_dir, env_file)
    rows = table("setting", "value", "from", "meaning")
    for entry in found.entries:
        value = "wrong" if entry.problem else _shown(entry.value)
        rows.add_row(variable(entry.name), value, entry.source, entry.meaning)
    show(rows)
    for problem in found.problems:
        say(f"wrong: {problem}")
    if found.problems:
        raise typer.Exit(1)


@config.command()
def page() -> None:
    """Print docs/settings.md."""
    say(settings_page().rstrip("\n"))


def settings_page() -> str:
    """The page that documents every setting."""
    groups = {"server": SERVER_NAMES, **NAMES_BY_GROUP}
    return PAGE_TOP + "".join(_section(group, names) for group, names in groups.items())


def _section(group: str, names: Sequence[str]) -> str:
    rows = "".join(f"{_row(name)}\n" for name in names)
    return GROUP_TOP.format(heading=group.capitalize()) + rows


def _row(name: str) -> str:
    aliases = "".join(f", `{alias}`" for alias, target in ALIASES.items() if target == name)
    default = _shown(FIELDS[name].default)
    kind = accepts(FIELDS[name].type)
    return f"| `{variable(name)}`{aliases} | {kind} | {default} | {meaning(name)} |"


def _shown(value: object) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return str(value).lower()
        case tuple():
            return ", ".join(map(str, value)) or "none"
    return str(value)
