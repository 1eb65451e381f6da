"""The hours in which humans are there, over HTTP: read by every agent, changed by administrators.

`?team_id=` speaks of one team, else of the whole shop.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.audit.messages import By
from kefu.bodies import answer, read_body
from kefu.errors import Problem
from kefu.shifts.rota import Rota
from protocol.codes import ErrorCode
from protocol.shifts import SetShift

NO_ID: Final = "team_id is the id of a team."
_read_shift: Final = msgspec.json.Decoder(SetShift).decode


def routes(
    rota: Rota,
    require_agent: Callable[[Request], Awaitable[object]],
    require_writer: Callable[[Request], Awaitable[By]],
) -> list[Route]:
    """Both raise `Problem` for whoever may not; `require_writer` says who acts."""

    async def config(request: Request) -> Response:
        await require_agent(request)
        return answer(rota.config(_team_id(request)))

    async def status(request: Request) -> Response:
        await require_agent(request)
        return answer(rota.status(_team_id(request)))

    async def change(request: Request) -> Response:
        by = await require_writer(request)
        wanted = await read_body(request, _read_shift)
        return answer(await rota.change(by, _team_id(request), wanted))

    async def reset(request: Request) -> Response:
        by = await require_writer(request)
        return answer(await rota.reset(by, _team_id(request)))

    return [
        Route("/api/shift/config", config, methods=["GET"]),
        Route("/api/shift/config", change, methods=["PUT"]),
        Route("/api/shift/config", reset, methods=["DELETE"]),
        Route("/api/shift/status", status, methods=["GET"]),
    ]


def _team_id(request: Request) -> UUID | None:
    text = request.query_params.get("team_id")
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise Problem(ErrorCode.INVALID_MESSAGE, NO_ID, fields={"team_id": NO_ID}) from None
