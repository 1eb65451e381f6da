"""What the facade says of itself: the bot, how all is, and to administrators the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kefu.bodies import answer, flat_answer
from kefu.gateway.facade.ports import Facade
from kefu.secret import Secret
from protocol.facade import BotShown, HealthShown

STATES: Final = {"ready": "healthy", "degraded": "degraded", "unready": "unhealthy"}


class About:
    """The endpoints. Each raises Problem or StoreUnavailable."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    async def bot(self, _request: Request) -> Response:
        return flat_answer(BotShown(self._facade.bot))

    async def health(self, _request: Request) -> Response:
        """503 only where nobody can be served: a bot that fails is a matter of degree."""
        readiness = await self._facade.health.look()
        bot = await self._facade.condition.look()
        status: Any = STATES[readiness.status]
        shown = HealthShown(
            status=status,
            provider=bot.provider,
            provider_state=_state(bot.breaker, bot.coze_connected),
            session_isolation=bot.session_isolation,
            version=self._facade.version,
            timestamp=self._facade.backstage.clock.now().timestamp(),
            coze_connected=bot.coze_connected,
        )
        return flat_answer(shown, 503 if readiness.status == "unready" else 200)

    async def config(self, request: Request) -> Response:
        await self._facade.guard.require(request, "settings.write")
        return answer(self._facade.settings())

    async def token_info(self, request: Request) -> Response:
        """Never a token."""
        await self._facade.guard.require(request, "settings.write")
        cache = self._facade.condition.token_cache()
        held = msgspec.structs.asdict(cache) if cache is not None else {}
        return answer({"needs_tokens": cache is not None, **held})


def _state(breaker: str | None, is_connected: bool | None) -> str:
    if breaker in ("open", "half_open") or is_connected is False:
        return "failing"
    return "ready"


def shown_settings(settings: msgspec.Struct) -> Mapping[str, Any]:
    """Every setting by its name, those of groups among the others; secrets as they may be read."""
    shown: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(settings).items():
        if isinstance(value, msgspec.Struct):
            shown |= shown_settings(value)
        else:
            shown[name] = _shown(value)
    return shown


def _shown(value: Any) -> Any:
    match value:
        case Secret():
            return repr(value)
        case Path():
            return str(value)
        case tuple() | list():
            return [_shown(each) for each in value]
        case _:
            return value
