"""`kefu drain`: an instance passes everything on and ends.

The wish goes through Redis, where every instance looks once a second, so it works from any machine
that reaches the stores, and needs no address and no token: whoever may open the stores may this.
"""

from collections.abc import Mapping
from typing import Annotated

import anyio
import typer

from kefu.audit.log import AuditLog
from kefu.audit.messages import OPERATOR, Act
from kefu.cli.options import DataDir, EnvFile, settings_from
from kefu.cli.terminal import say, tell_progress
from kefu.clock import SystemClock
from kefu.cluster.directory import RedisDirectory
from kefu.cluster.ports import Member
from kefu.errors import KefuError
from kefu.membership import directory_of
from kefu.settings import Settings
from kefu.storage.database import connected, transaction
from kefu.storage.migrate import upgrade
from kefu.stores import Stores, open_stores

LOOK_EVERY_S = 0.5
LONGER_S = 15.0


def drain(
    instance: Annotated[
        str | None, typer.Option(help="Its name (host:process id); needed where several live.")
    ] = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Have an instance pass on its chats and connections and end."""
    anyio.run(_drain, settings_from(data_dir, env_file), instance)


async def _drain(settings: Settings, name: str | None) -> None:
    async with open_stores(settings, on_progress=tell_progress) as stores:
        async with connected(stores.pool) as connection:
            await upgrade(connection, on_progress=tell_progress)
        directory = await directory_of(stores)
        id, member = _chosen((await directory.look()).members, name)
        await _note(stores, member)
        within_s = settings.shutdown_timeout_s + LONGER_S
        with anyio.move_on_after(within_s) as limit:
            await _until_empty(directory, id)
        if limit.cancelled_caught:
            raise KefuError(f"{member.name} has not left within {within_s:g} s.")
    say(f"{member.name} has left.")


def _chosen(members: Mapping[str, Member], name: str | None) -> tuple[str, Member]:
    """Raises KefuError where it is not clear who is meant."""
    found = [each for each in members.items() if name is None or each[1].name == name]
    if len(found) == 1:
        return found[0]
    living = ", ".join(sorted(member.name for member in members.values())) or "none"
    if not found:
        raise KefuError(f"No such instance lives; these do: {living}.")
    raise KefuError(f"Several instances live; name one with --instance: {living}.")


async def _note(stores: Stores, member: Member) -> None:
    act = Act(OPERATOR, "instance.drained", "instance", member.name)
    async with transaction(stores.pool) as connection:
        await AuditLog(stores.pool, SystemClock()).append(connection, act)


async def _until_empty(directory: RedisDirectory, id: str) -> None:
    """Asked again until it has heard, because Redis may forget."""
    said = ""
    while (view := await directory.look()).members.get(id) is not None:
        member = view.members[id]
        slots = sum(owner == id for owner in (view.owners or {}).values())
        words = f"{member.name} has {slots} slots and {member.connections} connections left"
        if words != said:
            said = words
            tell_progress(words)
        if not member.is_leaving:
            await directory.ask_to_leave(id)
        elif not slots and not member.connections:
            return
        await anyio.sleep(LOOK_EVERY_S)
