"""No HTTP body is read beyond the limit, whoever reads it: that ends in Problem(TOO_LARGE).

Starlette's own limit answers with plain text; this one is an error like all the others.
"""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kefu.errors import Problem
from protocol.codes import ErrorCode


class BodyLimit:
    """`larger` holds the paths that take more, each with its own limit."""

    def __init__(
        self, app: ASGIApp, limit_bytes: int, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self._larger.get(scope.get("path", ""), self._limit_bytes)

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise Problem(ErrorCode.TOO_LARGE)
            return message

        await self._app(scope, limited if scope["type"] == "http" else receive, send)
