"""What tests of the bot are made of: knowledge and contexts in memory, and a bot among them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

import anyio
from msgspec.structs import replace

from kefu.bot.breaker import Breaker
from kefu.bot.contexts import NAMELESS
from kefu.bot.figures import Figures
from kefu.bot.knowledge import KnowledgeBot
from kefu.bot.messages import Answer, Bot, Question, Said
from kefu.bot.options import CozeOptions, DashscopeOptions, Limits, OpenaiOptions
from kefu.bot.ports import Context, Provider
from kefu.bot.turn import ProviderBot, World
from kefu.knowledge.messages import Confidence, Found, Hit
from kefu.secret import Secret
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.fakes.upstream.keys import KEY_ID, private_pem
from tests.fakes.upstream.providers import API_KEY, APP_ID, CLIENT_ID, WORKFLOW_ID

TURN_ID = UUID(int=7)
RETURNS = Hit(UUID(int=1), "怎么退货？", "收到商品七天内可以退货。", 0.9)
SHIPPING = Hit(UUID(int=2), "运费多少？", "满 99 元包邮。", 0.5)
INVOICE = Hit(UUID(int=3), "可以开发票吗？", "可以开电子发票。", 0.4)


class Shelf:
    """A shop's knowledge that finds what it is told to find."""

    def __init__(self, confidence: Confidence = "none", *hits: Hit) -> None:
        self.found = Found(confidence, hits)
        self.asked: list[str] = []
        self.unanswered: list[str] = []
        self.failure: Exception | None = None
        self.hangs = False

    async def find(self, text: str, locale: str | None, *, limit: int = 3) -> Found:
        self.asked.append(text)
        if self.failure is not None:
            raise self.failure
        if self.hangs:
            await anyio.sleep_forever()
        return self.found

    def note_unanswered(self, text: str, locale: str | None) -> None:
        self.unanswered.append(text)


class Folder:
    """The conversations of sessions, in memory; made by the provider, where it keeps any."""

    def __init__(self, provider: Provider) -> None:
        self._maker: Any = provider if hasattr(provider, "new_conversation") else None
        self.known: dict[str, Context] = {}

    async def current(self, session: str, *, is_first: bool = False) -> Context:
        if self._maker is None:
            return NAMELESS
        if session not in self.known:
            id = await self._maker.new_conversation(session)
            self.known[session] = Context(id, 0.0)
        return self.known[session]

    async def renew(self, session: str, lost: Context) -> None:
        assert self._maker is not None
        id = await self._maker.new_conversation(session)
        self.known[session] = replace(lost, conversation_id=id)


class Naps:
    """Sleep that takes no time and remembers how long it would have taken."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        self._clock.advance(seconds)


class Stand:
    """A bot with one provider and everything around it in memory."""

    def __init__(
        self,
        provider: Provider,
        *,
        shelf: Shelf | None = None,
        is_grounded: bool = False,
        limits: Limits | None = None,
        breaker: Breaker | None = None,
        clock: HandClock | None = None,
    ) -> None:
        self.shelf = shelf or Shelf()
        self.clock = clock or HandClock()
        self.naps = Naps(self.clock)
        self.figures = Figures()
        self.breaker = breaker or Breaker()
        self.folder = Folder(provider)
        self.world = World(
            provider=provider,
            contexts=self.folder,
            breaker=self.breaker,
            fallback=KnowledgeBot(self.shelf, self.figures),
            grounding=self.shelf if is_grounded else None,
            clock=self.clock,
            entropy=SeededEntropy(),
            figures=self.figures,
            limits=limits or Limits(),
            sleep=self.naps,
        )
        self.bot = ProviderBot(self.world)

    @property
    def phase(self) -> str:
        return self.breaker.phase(self.clock.monotonic())


class Heard:
    """What the customer was told, and the answer it became."""

    def __init__(self, pieces: list[str], answer: Answer) -> None:
        self.pieces = pieces
        self.answer = answer


async def ask(bot: Bot, text: str = "怎么退货", **more: object) -> Heard:
    """Ask, and hold the answer to what every answer promises."""
    pieces: list[str] = []
    answer = await bot.answer(question(text, **more), pieces.append)
    assert answer.text.strip()
    assert all(pieces)
    if answer.outcome != "failed":
        assert answer.text.startswith("".join(pieces))
    return Heard(pieces, answer)


async def collect(stream: AsyncGenerator[str, None], take: Callable[[str], None]) -> None:
    """All of it, and what came before it broke."""
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            take(piece)


def question(text: str = "怎么退货", *, earlier: tuple[Said, ...] = (), **more: object) -> Question:
    async def read() -> tuple[Said, ...]:
        return earlier

    asked = Question(TURN_ID, "customer-1", text, read_earlier=read if earlier else None)
    return replace(asked, **more)


def said(*contents: str, at: float = 1_000.0) -> tuple[Said, ...]:
    """Customer and bot by turns, a second apart."""
    return tuple(
        Said("bot" if number % 2 else "customer", content, at + number)
        for number, content in enumerate(contents)
    )


def coze_options(address: str, **more: object) -> CozeOptions:
    options = CozeOptions(
        api_base=address,
        workflow_id=WORKFLOW_ID,
        app_id=APP_ID,
        oauth_client_id=CLIENT_ID,
        oauth_public_key_id=KEY_ID,
        oauth_private_key=Secret(private_pem()),
    )
    return replace(options, **more)


def dashscope_options(address: str) -> DashscopeOptions:
    return DashscopeOptions(api_base=address, api_key=Secret(API_KEY))


def openai_options(address: str) -> OpenaiOptions:
    return OpenaiOptions(base_url=f"{address}/v1", api_key=Secret(API_KEY), model="m")
