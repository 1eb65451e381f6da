"""Puts the bot together from its settings: which provider, and everything around it."""

from collections.abc import Awaitable, Callable
from typing import Literal, assert_never
from urllib.parse import urlsplit

import anyio
from msgspec import Struct

from kefu.bot.breaker import Breaker
from kefu.bot.contexts import Maker, ProviderContexts
from kefu.bot.copilot import Copilot
from kefu.bot.coze import Coze
from kefu.bot.coze_tokens import CozeTokens, read_key
from kefu.bot.dashscope import Dashscope
from kefu.bot.figures import Figures
from kefu.bot.grounded import Grounded
from kefu.bot.health import Condition, ProviderName
from kefu.bot.http import Client
from kefu.bot.knowledge import KnowledgeBot
from kefu.bot.messages import Bot
from kefu.bot.openai import Openai
from kefu.bot.options import CozeOptions, DashscopeOptions, Limits, OpenaiOptions
from kefu.bot.ports import Provider, Usage, Writer
from kefu.bot.turn import ProviderBot, World
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.errors import KefuError
from kefu.knowledge.messages import Knowledge
from kefu.storage.database import DatabasePool

Options = CozeOptions | DashscopeOptions | OpenaiOptions | Literal["knowledge", "none"]


def has_provider(options: Options) -> bool:
    """Whether answers come over the network: such a bot needs a client."""
    return not isinstance(options, str)


class Parts(Struct, frozen=True):
    """`bot` is None where humans answer first; the rest is there all the same."""

    bot: Bot | None
    contexts: ProviderContexts
    copilot: Copilot
    condition: Condition


def check_address(setting: str, url: str) -> None:
    """Raises KefuError when nothing can be behind it."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise KefuError(f"{setting} is not an address such as https://api.example.com.")


def make_bot(
    options: Options,
    *,
    knowledge: Knowledge,
    pool: DatabasePool,
    client: Client | None,
    clock: Clock,
    entropy: Entropy,
    limits: Limits,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Parts:
    """The bot of the provider whose options these are. Starts nothing and asks nobody.

    Raises KefuError when they cannot work, whatever the network says.
    """
    breaker, figures = Breaker(), Figures()
    fallback = KnowledgeBot(knowledge, figures)
    made = _provider(options, client, clock, entropy, limits)
    contexts = ProviderContexts(pool, clock, entropy, made.name, made.maker)
    bot: Bot | None = fallback if made.name == "knowledge" else None
    if made.provider is not None:
        world = World(
            provider=made.provider,
            contexts=contexts,
            breaker=breaker,
            fallback=fallback,
            grounding=knowledge if made.writer is not None else None,
            clock=clock,
            entropy=entropy,
            figures=figures,
            limits=limits,
            sleep=sleep,
        )
        bot = ProviderBot(world)
    condition = Condition(
        made.name,
        clock,
        figures,
        usage=made.provider.usage if made.provider is not None else Usage(),
        breaker=breaker if made.provider is not None else None,
        tokens=made.tokens,
    )
    copilot = Copilot(knowledge, made.writer, breaker, clock, limits)
    return Parts(bot, contexts, copilot, condition)


class _Made(Struct, frozen=True):
    name: ProviderName
    provider: Provider | None = None
    maker: Maker | None = None
    writer: Writer | None = None
    tokens: CozeTokens | None = None


def _provider(
    options: Options, client: Client | None, clock: Clock, entropy: Entropy, limits: Limits
) -> _Made:
    if isinstance(options, str):
        return _Made(options)
    assert client is not None, "see has_provider"
    match options:
        case CozeOptions():
            check_address("COZE_API_BASE", options.api_base)
            tokens = CozeTokens(options, read_key(options), client, clock, entropy)
            coze = Coze(options, client, tokens, clock)
            return _Made("coze", coze, coze, tokens=tokens)
        case DashscopeOptions():
            check_address("DASHSCOPE_API_BASE", options.api_base)
            dashscope = Dashscope(options, client, clock)
            return _Made("dashscope", Grounded(dashscope, limits), writer=dashscope)
        case OpenaiOptions():
            check_address("OPENAI_BASE_URL", options.base_url)
            openai = Openai(options, client, clock)
            return _Made("openai", Grounded(openai, limits), writer=openai)
        case _:
            assert_never(options)
