"""What the server says on the terminal when it is ready: where to go, and how to get in first.

No password is ever made up: whoever started the server gets a link that signs in once.
"""

import sys

from kefu import __version__
from kefu.agents.staff.roster import Roster
from kefu.audit.messages import SYSTEM
from kefu.settings import Settings

FIRST_ADMIN = "admin"
DEMO_AGENT = "demo"


def tell_progress(sentence: str) -> None:
    sys.stderr.write(f"kefu: {sentence}\n")
    sys.stderr.flush()


async def welcome(settings: Settings, roster: Roster, url: str) -> str:
    """The words with the links; makes the first account when there is none."""
    base = settings.public_url or url
    lines = ["", f"  kefu {__version__} is ready."]
    if settings.demo:
        lines.append(f"    Demo shop    {base}/demo")
    lines.append(f"    Customer     {base}/")
    lines.append(f"    Workbench    {await _workbench(settings, roster, base)}")
    lines.append(f"    Health       {base}/readyz")
    lines += ["  Ctrl-C stops it; everything said stays.", ""]
    return "\n".join(lines)


def say(words: str) -> None:
    """To whoever started the server."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


async def _workbench(settings: Settings, roster: Roster, base: str) -> str:
    known = {agent.username for agent in (await roster.list()).agents}
    username = DEMO_AGENT if settings.demo else FIRST_ADMIN
    if not known or (settings.demo and username not in known):
        name = "客服小可" if settings.demo else "Admin"
        await roster.create(SYSTEM, username, name, role="admin")
    elif not settings.demo:
        return f"{base}/agent"
    return f"{base}/agent#link={await roster.make_link(SYSTEM, username)}  (signs in once)"
