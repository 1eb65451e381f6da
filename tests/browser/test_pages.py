"""The pages in a real Chromium: each story is a script beside this file, run by Node.

A story needs a server whose queue is empty, so each has its own; in most nobody answers before a
person does. Chromium, Node or the built pages missing: skipped, and the summary says so.
"""

import json
import os
import shutil
from pathlib import Path

import anyio
import pytest

from kefu.storage.embedded import Stores
from tests.server import People, people_of, running
from tests.until import until

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "kefu" / "web"
CHROMIUM = os.environ.get("KEFU_CHROMIUM", "/usr/bin/chromium")
STORY_TIMEOUT_S = 55
KNOWLEDGE_WITHIN_S = 50


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


async def tell(story: str, people: People, *agents: str) -> None:
    """Run `<story>.mjs`, which signs `agents` in, in order. Its last words are the reason."""
    links = [await people.sign_in_link(username) for username in agents]
    with anyio.fail_after(STORY_TIMEOUT_S):
        told = await anyio.run_process(
            ["node", f"{story}.mjs"],
            cwd=HERE,
            env={
                **os.environ,
                "KEFU_URL": people.server.url,
                "KEFU_LINKS": json.dumps(links),
                "KEFU_CUSTOMER": people.customer(),
                "KEFU_CHROMIUM": CHROMIUM,
            },
            check=False,
        )
    assert told.returncode == 0, told.stderr.decode()[-3000:]


async def test_a_customer_and_an_agent_chat_from_hello_to_rating(own_people: People) -> None:
    await tell("chat", own_people, "zhang")


async def test_a_cut_network_loses_nothing_and_shows_nothing_twice(own_people: People) -> None:
    await tell("reconnect", own_people, "zhang")


async def test_of_two_agents_who_accept_one_is_told_that_the_other_was_first(
    own_people: People,
) -> None:
    await tell("race", own_people, "zhang", "li")


async def test_a_transferred_chat_keeps_its_messages(own_people: People) -> None:
    await tell("transfer", own_people, "zhang", "li")


async def test_a_waiting_chat_is_offered_to_one_agent_and_then_to_the_next(
    stores: Stores, database: str
) -> None:
    variables = {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_ASSIGNMENT_MODE": "round_robin",
    }
    async with running(variables) as server, people_of(server, database) as people:
        await tell("offer", people, "zhang", "li")


async def test_the_bot_answers_first_and_a_person_takes_over_and_gives_back(
    stores: Stores, database: str
) -> None:
    variables = {
        "KEFU_DATABASE_URL": database,
        "KEFU_REDIS_URL": stores.redis_url,
        "KEFU_AI_PROVIDER": "knowledge",
    }
    async with running(variables, arguments=("--demo",)) as server:
        # until then it answers by words alone, and knows less
        await until(lambda: "SemanticEngine" in "".join(server.said), within_s=KNOWLEDGE_WITHIN_S)
        async with people_of(server, database) as people:
            await tell("bot", people, "zhang", "li")


async def test_an_agent_sees_what_a_customer_looked_at_and_shows_a_product(
    own_people: People,
) -> None:
    await tell("products", own_people, "zhang")


async def test_everything_can_be_done_from_the_keyboard(own_people: People) -> None:
    await tell("keyboard", own_people, "zhang")


async def test_every_page_fits_and_speaks_each_language(own_people: People) -> None:
    await tell("looks", own_people)
