"""How long HTTP calls take, by route and status. Sockets are counted elsewhere.

A stream of events is as long as its client stays: what counts of it is the time to its beginning.
"""

from typing import Final

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kefu.clock import Clock
from kefu.gateway.metrics import Metrics
from kefu.notifications.pulse import Pulse

# The answer of a language model is as long in coming as it is.
TAKES_ITS_TIME: Final = frozenset(("/api/chat", "/api/chats/{chat_id}/copilot"))


class HttpMetrics:
    """`pulse` hears of every call whose time is kefu's own, for the alerts."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Clock, pulse: Pulse) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock
        self._pulse = pulse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock.monotonic()
        status, took_s = 500, None

        async def note_start(message: Message) -> None:
            nonlocal status, took_s
            if message["type"] == "http.response.start":
                status = message["status"]
                if (b"content-type", b"text/event-stream") in message.get("headers", ()):
                    took_s = self._clock.monotonic() - started
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        finally:
            # the route's own path, never the one that was asked for: labels must be few
            route = scope.get("route")
            label = route.path if isinstance(route, Route) else "other"
            if took_s is None:
                took_s = self._clock.monotonic() - started
            self._metrics.http_seconds.labels(label, str(status)).observe(took_s)
            if label not in TAKES_ITS_TIME:
                self._pulse.note(took_s, has_failed=status == 500)
