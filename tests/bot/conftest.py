"""The providers' fake on a real port, and the client that talks to it."""

from collections.abc import AsyncIterator
from ssl import SSLContext, create_default_context

import pytest

from kefu.bot.coze import Coze
from kefu.bot.coze_tokens import CozeTokens
from kefu.bot.dashscope import Dashscope
from kefu.bot.http import Client, open_client
from kefu.bot.openai import Openai
from tests.bot import parts
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.fakes.upstream.behaviour import Upstream
from tests.fakes.upstream.keys import private_key
from tests.fakes.upstream.providers import Providers
from tests.fakes.upstream.serving import served


@pytest.fixture
def providers() -> Providers:
    return Providers()


@pytest.fixture
def upstream(providers: Providers) -> Upstream:
    return providers.upstream


@pytest.fixture
async def address(providers: Providers) -> AsyncIterator[str]:
    async with served(providers.app) as address:
        yield address


@pytest.fixture(scope="session")
def certificates() -> SSLContext:
    return create_default_context()


@pytest.fixture
async def client(certificates: SSLContext) -> AsyncIterator[Client]:
    async with open_client(certificates) as client:
        yield client


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def tokens(address: str, client: Client, clock: HandClock) -> CozeTokens:
    return CozeTokens(
        parts.coze_options(address), private_key(), client, clock, SeededEntropy(), capacity=3
    )


@pytest.fixture
def coze(address: str, client: Client, tokens: CozeTokens, clock: HandClock) -> Coze:
    return Coze(parts.coze_options(address), client, tokens, clock)


@pytest.fixture
def dashscope(address: str, client: Client, clock: HandClock) -> Dashscope:
    return Dashscope(parts.dashscope_options(address), client, clock)


@pytest.fixture
def openai(address: str, client: Client, clock: HandClock) -> Openai:
    return Openai(parts.openai_options(address), client, clock)
