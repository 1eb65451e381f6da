"""What the pages of allowed shops may ask from a browser: the chat and what is for sale, no more.

A browser lets a page of another site read an answer only where the answer names that site. Nothing
here depends on cookies, so none are ever allowed to come along.
"""

from collections.abc import Collection
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN: Final = (
    *(
        "/api/chat",
        "/api/conversation/",
        "/api/bot/",
        "/api/manual/",
        "/api/sessions/",
        "/api/health",
        "/api/products",
        "/api/categories",
        "/api/views",
        "/api/recommendations/",
    ),
    "/ws",
)


class ShopPages:
    """`origins` as in https://shop.example."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "Last-Event-ID"),
            expose_headers=("Retry-After",),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "http" and scope["path"].startswith(OPEN)
        await (self._shared if is_open else self._app)(scope, receive, send)
