"""`kefu audit verify`: is the audit log what was written?"""

import anyio
import typer

from kefu.audit.log import AuditLog
from kefu.cli.options import DataDir, EnvFile, settings_from
from kefu.cli.terminal import say, tell_progress
from kefu.clock import SystemClock
from kefu.errors import KefuError
from kefu.settings import Settings
from kefu.stores import open_stores

audit = typer.Typer(no_args_is_help=True, help="The audit log.")


@audit.callback()
def everything() -> None:
    """The audit log."""


@audit.command()
def verify(data_dir: DataDir = None, env_file: EnvFile = None) -> None:
    """Check the whole chain; exit code 1 and the entry's number where it is broken."""
    anyio.run(_verify, settings_from(data_dir, env_file))


async def _verify(settings: Settings) -> None:
    async with open_stores(settings, on_progress=tell_progress) as stores:
        tampered = await AuditLog(stores.pool, SystemClock()).verify()
    if tampered is not None:
        raise KefuError(
            f"Entry {tampered} of the audit log was changed, removed or put in by other means."
        )
    say("The audit log is whole.")
