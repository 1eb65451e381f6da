"""`kefu db`: bringing the schema up to this program."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import typer

from kefu.cli.options import DataDir, EnvFile, settings_from
from kefu.cli.terminal import say, show, table, tell_progress
from kefu.settings import Settings
from kefu.storage import migrate
from kefu.storage.database import Connection, connected
from kefu.stores import open_stores

T = TypeVar("T")

db = typer.Typer(no_args_is_help=True, help="The database's schema.")


@db.command()
def upgrade(data_dir: DataDir = None, env_file: EnvFile = None) -> None:
    """Apply what is missing; safe to run twice and beside a running server."""

    async def work(connection: Connection) -> list[str]:
        return await migrate.upgrade(connection, on_progress=tell_progress)

    applied = _run(work, settings_from(data_dir, env_file))
    say(f"Applied {len(applied)} migrations." if applied else "The schema is current.")


@db.command()
def status(data_dir: DataDir = None, env_file: EnvFile = None) -> None:
    """Show every migration and whether it is applied; exit code 1 when one is missing."""
    found = _run(migrate.status, settings_from(data_dir, env_file))
    rows = table("version", "name", "applied")
    for each in found:
        at = each.applied_at
        rows.add_row(f"{each.version:04}", each.name, at.isoformat(" ", "seconds") if at else "no")
    show(rows)
    if any(each.applied_at is None for each in found):
        raise typer.Exit(1)


def _run(work: Callable[[Connection], Awaitable[T]], settings: Settings) -> T:
    async def inside() -> T:
        async with (
            open_stores(settings, on_progress=tell_progress) as stores,
            connected(stores.pool) as connection,
        ):
            return await work(connection)

    return anyio.run(inside)
