"""The audit log over HTTP, for administrators, newest entries first."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.audit.log import MAX_ID, PAGE_LIMIT, AuditLog
from kefu.bodies import answer, read_number


def routes(log: AuditLog, require_reader: Callable[[Request], Awaitable[object]]) -> list[Route]:
    """`require_reader` raises `Problem` for whoever may not read the log."""

    async def page(request: Request) -> Response:
        await require_reader(request)
        before = read_number(request, "cursor", default=MAX_ID, least=1, most=MAX_ID)
        limit = read_number(request, "limit", default=50, least=1, most=PAGE_LIMIT)
        return answer(await log.page(before=before, limit=limit))

    return [Route("/api/audit", page, methods=["GET"])]
