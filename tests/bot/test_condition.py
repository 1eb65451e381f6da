"""How the bot says that it is, and how it is put together from its settings."""

import anyio
import pytest

from kefu.bot import health
from kefu.bot.breaker import Breaker
from kefu.bot.coze_tokens import CozeTokens
from kefu.bot.factory import Options, Parts, make_bot
from kefu.bot.figures import Figures
from kefu.bot.health import BotHealth, Condition, TokenCache
from kefu.bot.http import Client
from kefu.bot.knowledge import KnowledgeBot
from kefu.bot.options import Limits
from kefu.bot.ports import Usage
from kefu.bot.turn import ProviderBot
from kefu.errors import KefuError
from kefu.secret import Secret
from kefu.storage.database import DatabasePool
from tests.bot.canned import Canned, client_of
from tests.bot.parts import (
    RETURNS,
    Shelf,
    ask,
    coze_options,
    dashscope_options,
    openai_options,
    said,
)
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.fakes.upstream.behaviour import PIECES, Behaviour, Upstream, refused


def condition_of(tokens: CozeTokens, clock: HandClock) -> Condition:
    return Condition("coze", clock, Figures(), usage=Usage(), breaker=Breaker(), tokens=tokens)


async def test_coze_is_connected_when_a_token_can_be_had_and_that_is_kept_for_half_a_minute(
    tokens: CozeTokens, clock: HandClock, upstream: Upstream
) -> None:
    condition = condition_of(tokens, clock)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(condition.look)
    assert await condition.look() == BotHealth("coze", True, "closed", True)
    assert len(upstream.seen) == 1
    clock.advance(30)
    upstream.next("token", refused(400, {"error_code": "invalid_client"}))
    assert (await condition.look()).coze_connected is False
    clock.advance(29)
    assert (await condition.look()).coze_connected is False
    clock.advance(1)
    assert (await condition.look()).coze_connected is True


async def test_coze_that_does_not_answer_is_not_connected_and_nobody_waits_long(
    tokens: CozeTokens, clock: HandClock, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_WITHIN_S", 0.05)
    upstream.always("token", Behaviour(waits_for=anyio.Event()))
    assert (await condition_of(tokens, clock).look()).coze_connected is False


async def test_the_token_cache_is_told_by_its_size_alone(
    tokens: CozeTokens, clock: HandClock
) -> None:
    await tokens.get("a")
    assert condition_of(tokens, clock).token_cache() == TokenCache(1, 3)


# --- the factory --------------------------------------------------------------------------------


def made(options: Options, pool: DatabasePool, client: Client, shelf: Shelf | None = None) -> Parts:
    return make_bot(
        options,
        knowledge=shelf or Shelf("sure", RETURNS),
        pool=pool,
        client=client,
        clock=HandClock(),
        entropy=SeededEntropy(),
        limits=Limits(),
    )


async def test_the_knowledge_answers_where_no_provider_is_set(
    pool: DatabasePool, client: Client
) -> None:
    parts = made("knowledge", pool, client)
    assert isinstance(parts.bot, KnowledgeBot)
    assert (await ask(parts.bot)).answer.text == RETURNS.answer
    assert await parts.contexts.new("a") != await parts.contexts.new("a")
    assert await parts.condition.look() == BotHealth("knowledge", True)
    assert parts.condition.token_cache() is None
    assert (parts.condition.phase, parts.condition.opened_count) == (None, 0)
    assert parts.condition.figures.answers == {"answered": 1}


async def test_where_nobody_answers_first_the_copilot_still_helps(
    pool: DatabasePool, client: Client
) -> None:
    parts = made("none", pool, client)
    assert parts.bot is None
    assert (await parts.copilot.suggest("?", (), None))[0].text == RETURNS.answer


@pytest.mark.parametrize("name", ["coze", "dashscope", "openai"])
async def test_every_provider_answers_and_coze_keeps_its_conversation(
    name: str, pool: DatabasePool, client: Client, address: str, upstream: Upstream
) -> None:
    options = {
        "coze": coze_options(address),
        "dashscope": dashscope_options(address),
        "openai": openai_options(address),
    }[name]
    parts = made(options, pool, client)
    assert isinstance(parts.bot, ProviderBot)
    answer = (await ask(parts.bot)).answer
    assert answer.text == "".join(PIECES)
    assert answer.sources == (() if name == "coze" else (RETURNS.source,))
    rows = await pool.fetch("SELECT session, provider FROM bot_conversations")
    assert [tuple(row) for row in rows] == [("customer-1", name)] * (name == "coze")
    expected = BotHealth(name, True, "closed", True if name == "coze" else None)
    assert await parts.condition.look() == expected
    assert parts.condition.usage.output_tokens > 0
    assert await parts.contexts.new("a") != await parts.contexts.new("a")
    drafts = [s for s in await parts.copilot.suggest("?", (), None) if s.source == "generated"]
    assert len(drafts) == (0 if name == "coze" else 1)


async def test_a_cleared_session_begins_without_a_past(
    pool: DatabasePool, client: Client, address: str, upstream: Upstream
) -> None:
    parts = made(openai_options(address), pool, client)
    assert parts.bot is not None
    earlier = said("我的订单是 1024", "好的")
    await ask(parts.bot, earlier=earlier)
    await parts.contexts.clear("customer-1")
    await ask(parts.bot, earlier=earlier)
    before, after = (str(seen.body["messages"]) for seen in upstream.calls("openai"))
    assert "1024" in before
    assert "1024" not in after


def test_options_that_cannot_work_stop_the_start() -> None:
    def nobody(url: str) -> Canned:
        raise AssertionError(f"{url} was asked")

    for options in (
        coze_options("http://x", oauth_private_key=Secret("nonsense")),
        coze_options("api.coze.cn"),
        dashscope_options("ftp://x"),
        openai_options("http://[x"),
        openai_options("http://x:99999"),
    ):
        with pytest.raises(KefuError):
            made(options, None, client_of(nobody))
