"""All that the facade is handed, and what it asks of the bot and of the mail."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from kefu.agents.guard import Guard
from kefu.agents.staff.ports import Presences
from kefu.bot.copilot import Suggestion
from kefu.bot.health import BotHealth, TokenCache
from kefu.bot.messages import Contexts, Said
from kefu.bot.showcase import Suggested
from kefu.bot.summary import Occasion, Remark
from kefu.catalogue.messages import Card
from kefu.conversations.figures.store import PostgresFigures
from kefu.conversations.sessions.store import PostgresSessions
from kefu.entropy import Entropy
from kefu.gateway.door import Door
from kefu.gateway.facade.call_rates import CallRates
from kefu.gateway.health import Health
from kefu.gateway.ports import Backstage
from kefu.gateway.stream_limits import StreamLimits
from kefu.recommendations.messages import Recommended
from protocol.facade import BotCard


class Condition(Protocol):
    async def look(self) -> BotHealth:
        """How the bot is. Takes at most 2 s."""
        ...

    def token_cache(self) -> TokenCache | None:
        """None where no tokens are needed."""
        ...


class Copilot(Protocol):
    async def suggest(
        self, question_text: str, earlier: list[Said], locale: str | None
    ) -> list[Suggestion]: ...

    async def summarize(
        self, messages: list[Remark], locale: str | None, occasion: Occasion
    ) -> str: ...


class Showcase(Protocol):
    """Nothing of it raises or takes long: in trouble there is nothing to show."""

    async def suggested(self, text: str, viewer: UUID) -> tuple[Suggested, ...]: ...

    async def viewed(self, viewer: UUID) -> tuple[Card, ...]: ...

    async def recommended(self, viewer: UUID) -> tuple[Recommended, ...]: ...


class Facade(Struct, frozen=True, kw_only=True):
    """`conversation_of` reads the id of a session's conversation with the bot's provider, if there
    is one; `send_transcript` sends a chat's by mail and says what became of it; `settings` are the
    ones that may be shown."""

    backstage: Backstage
    door: Door
    entropy: Entropy
    guard: Guard
    presences: Presences
    sessions: PostgresSessions
    figures: PostgresFigures
    streams: StreamLimits
    rates: CallRates
    contexts: Contexts
    conversation_of: Callable[[str], Awaitable[str | None]]
    condition: Condition
    copilot: Copilot
    showcase: Showcase
    bot: BotCard | None
    health: Health
    send_transcript: Callable[[UUID], Awaitable[str]]
    settings: Callable[[], Mapping[str, Any]]
    version: str
