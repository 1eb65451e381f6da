"""Who answers before humans do, and who calls them: the bot, the shop's knowledge, hours, mail.

Made from the settings in one place, because they are of one purpose and share a client and a clock.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeVar, assert_never

import anyio
import httpx
from anyio.abc import TaskGroup
from msgspec import Struct

from kefu.audit.messages import Trail
from kefu.bot.factory import Options, Parts, has_provider, make_bot
from kefu.bot.http import open_client
from kefu.bot.messages import Bot
from kefu.bot.options import CozeOptions, DashscopeOptions, Limits, OpenaiOptions
from kefu.bot.shopping import ShoppingBot
from kefu.bot.showcase import Showcase
from kefu.clock import Clock
from kefu.conversations.escalation import Rules
from kefu.entropy import Entropy
from kefu.gateway.metrics import Reading
from kefu.knowledge.demo import load_demo
from kefu.knowledge.entries import Entries
from kefu.knowledge.entries import World as KnowledgeWorld
from kefu.knowledge.library import Library
from kefu.notifications.alerts import Sources, Watch
from kefu.notifications.alerts import World as AlertWorld
from kefu.notifications.board import Board
from kefu.notifications.courier import Courier
from kefu.notifications.options import AlertOptions, MailOptions, RobotOptions
from kefu.notifications.robots import Robots
from kefu.notifications.smtp import Smtp
from kefu.notifications.texts import words_of
from kefu.settings import BotSettings, EscalationSettings, Settings
from kefu.shifts.options import ShiftOptions
from kefu.shifts.rota import Rota
from kefu.stores import Stores
from protocol.facade import BotCard

ROBOT_WITHIN_S: Final = 10.0
PHASES: Final = ("closed", "open", "half_open")
N = TypeVar("N", bound=Struct)


class FirstLine(Struct, frozen=True):
    """All of it, made but not running: see `start`."""

    library: Library
    entries: Entries
    rota: Rota
    parts: Parts
    courier: Courier
    robots: Robots
    alerts: AlertWorld
    alert_options: AlertOptions
    knowledge: KnowledgeWorld

    def bot(self, showcase: Showcase) -> Bot | None:
        """With something to show; None where people answer first."""
        bot = self.parts.bot
        return None if bot is None else ShoppingBot(bot, showcase)

    async def prepare(self, *, is_demo: bool) -> None:
        """Before anybody is served. Raises StoreUnavailable."""
        await self.rota.refresh()
        if is_demo:
            await load_demo(self.knowledge)

    def start(self, tasks: TaskGroup, sources: Sources) -> None:
        """Run what runs beside the chats."""
        tasks.start_soon(self.library.run)
        tasks.start_soon(self.rota.run)
        tasks.start_soon(self.courier.run)
        tasks.start_soon(self.robots.run)
        tasks.start_soon(Watch(self.alerts, sources, self.alert_options).run)

    def readings(self) -> Iterable[Reading]:
        """How the bot does, and the mail."""
        condition = self.parts.condition
        answers = "Turns of the bot, by what came of them."
        for outcome, count in condition.figures.answers.items():
            yield Reading("kefu_bot_answers_total", answers, {"outcome": outcome}, count)
        cut = "Answers that a provider broke off in the middle."
        yield Reading("kefu_bot_answers_cut_total", cut, {}, condition.figures.cut_count)
        retried = "Times a provider was asked again."
        yield Reading("kefu_bot_retries_total", retried, {}, condition.figures.retry_count)
        for kind, count in (
            ("input", condition.usage.input_tokens),
            ("output", condition.usage.output_tokens),
        ):
            told = "Tokens that providers said they used."
            yield Reading("kefu_bot_tokens_total", told, {"kind": kind}, count)
        state = "1 for the state the provider's breaker is in."
        for phase in PHASES if condition.phase is not None else ():
            is_it = int(condition.phase == phase)
            yield Reading("kefu_bot_breaker", state, {"state": phase}, is_it)
        opened = "Times the breaker opened."
        yield Reading("kefu_bot_breaker_opened_total", opened, {}, condition.opened_count)
        mails = {"sent": self.courier.sent_count, "failed": self.courier.failed_count}
        for result, count in mails.items():
            yield Reading("kefu_mails_total", "Mails to the team.", {"outcome": result}, count)


@asynccontextmanager
async def open_first_line(
    settings: Settings, stores: Stores, trail: Trail, clock: Clock, entropy: Entropy
) -> AsyncIterator[FirstLine]:
    """Raises KefuError for settings that cannot work."""
    pool, told = stores.pool, settings.notifications
    async with AsyncExitStack() as stack:
        certificates = await anyio.to_thread.run_sync(httpx.create_ssl_context)
        http = await stack.enter_async_context(
            httpx.AsyncClient(timeout=ROBOT_WITHIN_S, verify=certificates)
        )
        options, client = bot_options(settings.bot), None
        if has_provider(options):
            client = await stack.enter_async_context(open_client(certificates))
        library = Library(pool, clock, entropy)
        rota = Rota(pool, clock, trail, _named(ShiftOptions, settings.shifts))
        parts = make_bot(
            options,
            knowledge=library,
            pool=pool,
            client=client,
            clock=clock,
            entropy=entropy,
            limits=Limits(
                context_turns=settings.bot.bot_context_turns,
                context_tokens=settings.bot.bot_context_tokens,
            ),
        )
        mail, alerts = _named(MailOptions, told), _named(AlertOptions, told)
        courier = Courier(pool, clock, entropy, Smtp(mail), mail, lambda: rota.zone)
        words = words_of(told.mail_locale)
        robots = Robots(http, clock, _named(RobotOptions, told), words)
        board = Board(stores.redis, clock, alerts.alert_repeat_s)
        knowledge = KnowledgeWorld(pool, clock, entropy, trail, library.changed)
        yield FirstLine(
            library=library,
            entries=Entries(knowledge),
            rota=rota,
            parts=parts,
            courier=courier,
            robots=robots,
            alerts=AlertWorld(pool, clock, rota, board, courier, robots),
            alert_options=alerts,
            knowledge=knowledge,
        )


def bot_options(settings: BotSettings) -> Options:
    """The provider's part of the settings; which of them it must have was seen to at the start."""
    match settings.ai_provider:
        case "knowledge" | "none":
            return settings.ai_provider
        case "coze":
            return _options(CozeOptions, "coze_", settings)
        case "dashscope":
            return _options(DashscopeOptions, "dashscope_", settings)
        case "openai":
            return _options(OpenaiOptions, "openai_", settings)
        case _:
            assert_never(settings.ai_provider)


def rules_of(settings: EscalationSettings) -> Rules:
    return Rules(
        keywords=settings.regulator_keywords,
        failure_words=settings.regulator_ai_fail_keywords,
        failure_threshold=settings.regulator_fail_threshold,
        calls_for_vips=settings.regulator_vip_auto_escalate,
    )


def bot_card(settings: BotSettings) -> BotCard | None:
    """None where people answer first."""
    if settings.ai_provider == "none":
        return None
    return BotCard(
        name=settings.bot_name,
        description=settings.bot_description or "",
        icon_url=settings.bot_icon_url or "",
        welcome=settings.bot_welcome or "",
    )


def _options(kind: type[N], prefix: str, settings: BotSettings) -> N:
    """The settings named like the fields, but for the provider's name before them."""
    names = kind.__struct_fields__
    return kind(**{name: getattr(settings, prefix + name) for name in names})


def _named(kind: type[N], settings: Struct) -> N:
    """The settings that are named like the fields."""
    return kind(**{name: getattr(settings, name) for name in kind.__struct_fields__})
