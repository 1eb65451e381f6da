"""How the bot is, for the health page and the metrics: read when somebody looks.

Whether Coze can be reached is found out by asking it for a token that nobody will use, at most
once in half a minute.
"""

from typing import Final, Literal

import anyio
from msgspec import Struct

from kefu.bot.breaker import Breaker, Phase
from kefu.bot.coze_tokens import CozeTokens
from kefu.bot.figures import Figures
from kefu.bot.ports import ProviderError, Usage
from kefu.clock import Clock

PROBE_SESSION: Final = "kefu.health"
PROBE_WITHIN_S: Final = 2.0
KEPT_S: Final = 30.0

ProviderName = Literal["knowledge", "coze", "dashscope", "openai", "none"]


class BotHealth(Struct, frozen=True, omit_defaults=True):
    """`breaker` only where there is a provider to be cut off; `coze_connected` only with Coze."""

    provider: ProviderName
    session_isolation: bool
    breaker: Phase | None = None
    coze_connected: bool | None = None


class TokenCache(Struct, frozen=True):
    """How many tokens are kept; never which."""

    cached: int
    capacity: int


class Condition:
    def __init__(
        self,
        provider: ProviderName,
        clock: Clock,
        figures: Figures,
        *,
        usage: Usage,
        breaker: Breaker | None = None,
        tokens: CozeTokens | None = None,
    ) -> None:
        self.provider: Final = provider
        self.figures: Final = figures
        self.usage: Final = usage
        self._clock = clock
        self._breaker = breaker
        self._tokens = tokens
        self._probing = anyio.Lock()
        self._probed_at: float | None = None
        self._is_connected = False

    @property
    def phase(self) -> Phase | None:
        """None where nothing can be cut off."""
        return self._breaker.phase(self._clock.monotonic()) if self._breaker else None

    @property
    def opened_count(self) -> int:
        return self._breaker.opened_count if self._breaker else 0

    async def look(self) -> BotHealth:
        """Takes at most 2 s."""
        connected = await self._probe(self._tokens) if self._tokens else None
        return BotHealth(self.provider, True, self.phase, connected)

    def token_cache(self) -> TokenCache | None:
        """None where no tokens are needed."""
        return TokenCache(self._tokens.count, self._tokens.capacity) if self._tokens else None

    async def _probe(self, tokens: CozeTokens) -> bool:
        with anyio.move_on_after(PROBE_WITHIN_S):
            async with self._probing:
                now = self._clock.monotonic()
                if self._probed_at is None or now - self._probed_at >= KEPT_S:
                    self._is_connected = False
                    with anyio.move_on_after(PROBE_WITHIN_S):
                        self._is_connected = await _is_reached(tokens)
                    self._probed_at = self._clock.monotonic()
        return self._is_connected


async def _is_reached(tokens: CozeTokens) -> bool:
    try:
        await tokens.probe(PROBE_SESSION)
    except ProviderError:
        return False
    return True
