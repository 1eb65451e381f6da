"""The pages in a real Chromium: each story is a script beside this file, run by Node.

A story needs a server whose queue is empty, so `kefu_server` is this test's own. Chromium, Node or
the built pages missing: skipped, and the summary says so.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "kefu" / "web"
CHROMIUM = os.environ.get("KEFU_CHROMIUM", "/usr/bin/chromium")
STORY_TIMEOUT_S = 55


class Server(Protocol):
    """What a story asks of `kefu_server`."""

    @property
    def url(self) -> str: ...

    def sign_in_link(self, username: str) -> str:
        """A one-time link for a new agent of that username."""
        ...


def _missing() -> str | None:
    if not Path(CHROMIUM).exists():
        return f"no Chromium at {CHROMIUM}"
    if shutil.which("node") is None:
        return "no Node"
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        return "kefu/web is not installed (make web)"
    return None if (WEB / "dist" / "index.html").is_file() else "the pages are not built (make web)"


missing = _missing()
pytestmark = pytest.mark.skipif(missing is not None, reason=f"BROWSER TESTS SKIPPED: {missing}")


def tell(story: str, server: Server, *agents: str) -> None:
    """Run `<story>.mjs`, which signs `agents` in, in order. Its last words are the reason."""
    links = [server.sign_in_link(username) for username in agents]
    told = subprocess.run(
        ["node", f"{story}.mjs"],
        cwd=HERE,
        env={
            **os.environ,
            "KEFU_URL": server.url,
            "KEFU_LINKS": json.dumps(links),
            "KEFU_CHROMIUM": CHROMIUM,
        },
        capture_output=True,
        text=True,
        timeout=STORY_TIMEOUT_S,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-3000:]


def test_a_customer_and_an_agent_chat_from_hello_to_rating(kefu_server: Server) -> None:
    tell("chat", kefu_server, "zhang")


def test_a_cut_network_loses_nothing_and_shows_nothing_twice(kefu_server: Server) -> None:
    tell("reconnect", kefu_server, "zhang")


def test_of_two_agents_who_accept_one_is_told_that_the_other_was_first(kefu_server: Server) -> None:
    tell("race", kefu_server, "zhang", "li")


def test_a_transferred_chat_keeps_its_messages(kefu_server: Server) -> None:
    tell("transfer", kefu_server, "zhang", "li")


def test_everything_can_be_done_from_the_keyboard(kefu_server: Server) -> None:
    tell("keyboard", kefu_server, "zhang")


def test_every_page_fits_and_speaks_each_language(kefu_server: Server) -> None:
    tell("looks", kefu_server)
