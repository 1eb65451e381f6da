"""How long HTTP calls take, by route and status. Sockets are counted elsewhere."""

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kefu.clock import Clock
from kefu.gateway.metrics import Metrics


class HttpMetrics:
    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Clock) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock.monotonic()
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            # the route's own path, never the one that was asked for: labels must be few
            route = scope.get("route")
            label = route.path if isinstance(route, Route) else "other"
            took_s = self._clock.monotonic() - started
            self._metrics.http_seconds.labels(label, str(status)).observe(took_s)
