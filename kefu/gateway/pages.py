"""The built web pages, with the headers that keep them safe and fast.

Names with a hash never change and are kept for a year; a page itself is asked for every time.
"""

from importlib.resources import files
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from kefu.errors import KefuError

NOT_BUILT: Final = "The web pages are not built: run `make web` in kefu's folder first."
_POLICY: Final = (
    "default-src 'self'; img-src 'self' data: https:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors {ancestors}"
)
_KEPT: Final = "public, max-age=31536000, immutable"


class HashedFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = _KEPT
        response.headers["x-content-type-options"] = "nosniff"
        return response


def dist() -> Path:
    """Where the build puts the pages. Raises KefuError when there are none."""
    folder = Path(str(files("kefu"))) / "web" / "dist"
    if not (folder / "index.html").is_file():
        raise KefuError(NOT_BUILT)
    return folder


def routes(folder: Path, *, allowed_origins: frozenset[str], is_demo: bool) -> list[BaseRoute]:
    """`/` for customers, `/agent` for agents, `/demo` where it is asked for."""
    shops = " ".join(["'self'", *sorted(allowed_origins)])
    pages = [
        _page("/", folder / "index.html", shops),
        _page("/agent", folder / "agent" / "index.html", "'none'"),
        _page("/workbench", folder / "agent" / "index.html", "'none'"),
    ]
    if is_demo:
        pages.append(_page("/demo", folder / "demo" / "index.html", "'none'"))
    return [*pages, Mount("/assets", HashedFiles(directory=folder / "assets"))]


def _page(path: str, file: Path, ancestors: str) -> Route:
    headers = _headers(ancestors)

    async def show(_request: Request) -> Response:
        return FileResponse(file, headers=headers)

    return Route(path, show, methods=["GET"])


def _headers(ancestors: str) -> dict[str, str]:
    return {
        "content-security-policy": _POLICY.format(ancestors=ancestors),
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
