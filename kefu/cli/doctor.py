"""`kefu doctor`: is this deployment fit to serve, and if not, what to do.

Every check runs even when an earlier one failed; only a failed one, not a warning, changes the
exit code. The checks themselves are in `checks.py`.
"""

from collections.abc import AsyncIterator

import anyio
import typer
from rich.text import Text

from kefu.cli import checks
from kefu.cli.checks import Check
from kefu.cli.options import DataDir, EnvFile, settings_from
from kefu.cli.terminal import show, table, tell_progress
from kefu.clock import SystemClock
from kefu.settings import Settings, SettingsError
from kefu.storage.errors import EmbeddedError
from kefu.stores import open_addresses

COLOUR = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(data_dir: DataDir = None, env_file: EnvFile = None) -> None:
    """Check this deployment: settings, stores, schema, disk, clock, limits."""
    found = anyio.run(_examine, data_dir, env_file)
    rows = table("check", "", "found", "what to do")
    for check in found:
        rows.add_row(check.name, Text(check.verdict, COLOUR[check.verdict]), *check[2:])
    show(rows)
    if any(check.verdict == "fail" for check in found):
        raise typer.Exit(1)


async def _examine(data_dir: DataDir, env_file: EnvFile) -> list[Check]:
    try:
        settings = settings_from(data_dir, env_file)
    except SettingsError as error:
        return [Check("settings", "fail", str(error), "Mend it; `kefu config check` shows all.")]
    return [check async for check in _checks(settings)]


async def _checks(settings: Settings) -> AsyncIterator[Check]:
    yield Check("settings", "ok", "every setting is understood")
    yield checks.descriptors(settings)
    yield checks.disk(settings)
    try:
        async with open_addresses(settings, on_progress=tell_progress) as where:
            for check in await checks.database(where.database_url, settings, SystemClock()):
                yield check
            for check in await checks.redis(where.redis_url):
                yield check
    except EmbeddedError as error:
        yield Check("bundled stores", "fail", str(error), "See the log it names.")
