"""`kefu agent` and `kefu token`: making people known to the server.

They work on the stores themselves, beside a running server or without one. A password is read
from standard input only: on a command line every user of the machine could read it.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Literal, NamedTuple

import anyio
import typer

from kefu.agents.accounts import ensure_secrets
from kefu.agents.passwords import Passwords
from kefu.agents.staff.ports import World
from kefu.agents.staff.roster import Roster
from kefu.agents.staff.teams import Teams
from kefu.agents.tokens import Tokens
from kefu.audit.log import AuditLog
from kefu.audit.messages import OPERATOR
from kefu.cli.options import DataDir, EnvFile, settings_from
from kefu.cli.terminal import say, show, table, tell_progress
from kefu.clock import SystemClock
from kefu.entropy import SystemEntropy
from kefu.errors import KefuError
from kefu.settings import Settings
from kefu.storage.database import connected
from kefu.storage.migrate import upgrade
from kefu.stores import open_stores

MAX_PASSWORD_CHARS = 128
PAGE = 200
MAX_TTL_S = 366 * 24 * 3600

Role = Literal["agent", "supervisor", "admin"]
Username = Annotated[str, typer.Option(help="The name to sign in with.")]

agent = typer.Typer(no_args_is_help=True, help="Agents' accounts.")
token = typer.Typer(no_args_is_help=True, help="Tokens for customers.")


class People(NamedTuple):
    """What these commands work with."""

    roster: Roster
    teams: Teams
    tokens: Tokens
    settings: Settings


@agent.command()
def create(
    username: Username,
    name: Annotated[str, typer.Option(help="The name customers see.")],
    role: Annotated[Role, typer.Option(help="What the agent may do.")] = "agent",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    max_sessions: Annotated[
        int | None, typer.Option(min=1, max=50, help="Chats held at once.", show_default="5")
    ] = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Make an account; without a password it is entered by a one-time link."""
    password = _read_password() if password_stdin else None

    async def work(people: People) -> None:
        made = await people.roster.create(
            OPERATOR,
            username,
            name,
            role=role,
            password=password,
            max_sessions=max_sessions or people.settings.agent_default_max_sessions,
        )
        say(f"{made.username} ({made.role}) can hold {made.max_sessions} chats at once.")
        if password is None:
            say(await _link(people, username))

    _run(work, settings_from(data_dir, env_file))


@agent.command("list")
def list_agents(data_dir: DataDir = None, env_file: EnvFile = None) -> None:
    """List every account."""

    async def work(people: People) -> None:
        rows = table(
            "username", "name", "role", "chats", "skills", "teams", "active", "last sign-in"
        )
        names = {team.id: team.name for team in await people.teams.list()}
        cursor: str | None = ""
        while cursor is not None:
            page = await people.roster.list(after=cursor, limit=PAGE)
            for each in page.agents:
                seen = each.last_login_at
                rows.add_row(
                    each.username,
                    each.name,
                    each.role,
                    str(each.max_sessions),
                    ", ".join(each.skills),
                    ", ".join(names.get(team_id, "?") for team_id in each.team_ids),
                    "yes" if each.is_active else "no",
                    seen.isoformat(" ", "minutes") if seen else "never",
                )
            cursor = page.next_cursor
        show(rows)

    _run(work, settings_from(data_dir, env_file))


@agent.command()
def link(
    username: Annotated[str, typer.Argument(help="Whose link.")],
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Print a link that signs an agent in once, within 15 minutes."""

    async def work(people: People) -> None:
        say(await _link(people, username))

    _run(work, settings_from(data_dir, env_file))


@agent.command("reset-password")
def reset_password(
    username: Annotated[str, typer.Argument(help="Whose password.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the new one from standard input.")
    ] = False,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Take an agent's password away and print a link, or set a new one; sign out everywhere."""
    password = _read_password() if password_stdin else None

    async def work(people: People) -> None:
        await people.roster.reset_password(OPERATOR, username, password)
        if password is None:
            say(await _link(people, username))

    _run(work, settings_from(data_dir, env_file))


@token.command()
def customer(
    sub: Annotated[str, typer.Option(help="The shop's id of the customer.")],
    name: Annotated[str | None, typer.Option(help="The customer's name.")] = None,
    email: Annotated[str | None, typer.Option(help="The customer's e-mail.")] = None,
    vip: Annotated[bool, typer.Option("--vip", help="Mark as VIP.")] = False,
    ttl: Annotated[
        int, typer.Option(min=1, max=MAX_TTL_S, help="Seconds until it expires.")
    ] = 3600,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Print a customer's token, as the shop would sign it."""

    async def work(people: People) -> None:
        say(people.tokens.customer(sub, name=name, email=email, vip=vip, ttl_s=ttl))

    _run(work, settings_from(data_dir, env_file))


def _run(work: Callable[[People], Awaitable[None]], settings: Settings) -> None:
    async def inside() -> None:
        async with _open_people(settings) as people:
            await work(people)

    anyio.run(inside)


@asynccontextmanager
async def _open_people(settings: Settings) -> AsyncIterator[People]:
    clock = SystemClock()
    entropy = SystemEntropy(clock)
    async with open_stores(settings, on_progress=tell_progress) as stores:
        async with connected(stores.pool) as connection:
            await upgrade(connection, on_progress=tell_progress)
        keys = await ensure_secrets(stores.pool, entropy, settings.jwt_secret)
        tokens = Tokens(
            keys.shop_secret,
            keys.own_key,
            clock=clock,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )
        trail = AuditLog(stores.pool, clock)
        world = World(stores.pool, Passwords(), clock, entropy, trail)
        yield People(Roster(world), Teams(world), tokens, settings)


async def _link(people: People, username: str) -> str:
    secret = await people.roster.make_link(OPERATOR, username)
    where = people.settings.public_url or f"http://{people.settings.host}:{people.settings.port}"
    return f"{where.rstrip('/')}/agent#link={secret}"


def _read_password() -> str:
    line = sys.stdin.readline(MAX_PASSWORD_CHARS + 2).rstrip("\r\n")
    if not line:
        raise KefuError("No password came on standard input; write it on one line.")
    return line
